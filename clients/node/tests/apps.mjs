// One app, on each framework: what it does is written once.
import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import express5 from 'express'
import express4 from 'express4'
import fastifyOf from 'fastify'
import { tag } from 'tagalong-cache'
import { listening } from './sidecar.mjs'

/** How many requests have come to a barrier, and what lets them go on. */
export class Barrier {
  #come = 0
  #open
  #opened = new Promise(resolve => { this.#open = resolve })

  constructor (of) {
    this.of = of
  }

  async pass () {
    if (++this.#come === this.of) this.#open()
    await this.#opened
  }
}

/**
 * By method and path: what gives the text or stream that is answered.
 * @param {ReturnType<import('tagalong-cache').tagalong>} cache
 * @param {Record<string, any>} state
 */
export const routes = (cache, state) => ({
  'GET /page/:id': ({ params }) => {
    cache.cacheTag(tag('Page', params.id), 'Pages')
    cache.cacheControl({ ttl: 300 })
    return `Seite ${params.id} für alle`
  },
  'GET /echo/:value': () => 'echo',
  'GET /pairs/:front/:last': () => 'pair',
  'GET /list': () => 'list',
  'GET /tagged/:count': ({ params }) => {
    for (let at = 0; at < Number(params.count); at++) cache.cacheTag(tag('T', 'x'.repeat(20) + at))
    return 'tagged'
  },
  'POST /touch': async ({ body }) => {
    await setImmediate()
    cache.increment(body.tags, { soft: body.soft ?? false })
    return 'touched'
  },
  'POST /touch-value': ({ body }) => {
    cache.increment(tag(body.name, ...body.instance))
    return 'touched'
  },
  'POST /change': ({ body }) => {
    cache.change('list', body)
    return 'changed'
  },
  'POST /many': ({ body }) => {
    for (let at = 0; at < body.count; at++) cache.increment(tag('Many', at))
    return 'many'
  },
  'POST /fail': ({ body }) => {
    cache.increment(body.tags)
    throw new Error('after the commit')
  },
  'GET /failing': () => {
    cache.cacheControl({ ttl: 300 })
    throw new Error('while it was made')
  },
  // What Express sends, and what Fastify does: each refuses its own.
  'POST /refused': ({ body }, response) => {
    cache.increment(body.tags)
    if (response.raw) response.header('X-Name', '日本')
    else response.end(42)
  },
  'POST /meet': async ({ body }) => {
    cache.increment(`Before:${body.name}`)
    await state.barrier.pass()
    await setImmediate()
    cache.increment(`After:${body.name}`)
    return body.name
  },
  'POST /stream': ({ body }) => Readable.from((async function * () {
    yield 'begun '
    await once(state.events, 'go on')
    state.told = await cache.increment(body.tags)
    yield 'ended'
  })()),
  'POST /slow': async ({ body }) => {
    cache.increment(body.tags)
    state.events.emit('is slow')
    await once(state.events, 'go on')
    return 'too late'
  }
})

/** @param {typeof express5} framework */
const onExpress = framework => async (cache, state) => {
  const app = framework()
  app.use(cache.express())
  app.use(framework.json())
  for (const [route, answer] of Object.entries(routes(cache, state))) {
    const [method, path] = route.split(' ')
    app[method.toLowerCase()](path, async (request, response, next) => {
      try {
        const body = await answer(request, response)
        if (body instanceof Readable) body.pipe(response)
        else response.type('text').send(body)
      } catch (error) {
        next(error)
      }
    })
  }
  app.use((error, request, response, next) => response.status(500).send(error.message))
  const server = http.createServer(app)
  return { server, url: await listening(server), stop: () => stop(server) }
}

async function onFastify (cache, state) {
  const app = fastifyOf({ forceCloseConnections: true, routerOptions: { maxParamLength: 1000 } })
  await app.register(cache.fastify)
  for (const [route, answer] of Object.entries(routes(cache, state))) {
    const [method, url] = route.split(' ')
    app.route({ method, url, handler: async (request, reply) => reply.type('text/plain; charset=utf-8').send(await answer(request, reply)) })
  }
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), server: app.server, stop: () => app.close() }
}

function stop (server) {
  server.closeAllConnections()
  return new Promise(resolve => server.close(resolve))
}

export const FRAMEWORKS = { 'Express 5': onExpress(express5), 'Express 4': onExpress(express4), 'Fastify 5': onFastify }
