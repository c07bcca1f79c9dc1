// What TypeScript must accept, and what it must not; compiled by run.sh, never run.
import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Request } from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { Client, SidecarError, encode, tag, tagalong, valid } from 'tagalong-cache'

const cache = tagalong({ adminUrls: ['http://127.0.0.1:9080'], token: 'a', timeout: 1, logger: console })
const { cacheTag, increment, change, cacheControl } = cache

const app = express()
app.use(cache.express())
app.use('/api', cache.express(), express.json())
await fastify().register(cache.fastify)

export function used (request: Request, other: FastifyRequest, raw: IncomingMessage, response: ServerResponse, text: unknown) {
  const isTaken: boolean = cacheTag(tag('User', 42), [tag('Page', 'de', 7n)])
  cacheTag(request, 'a')
  cacheTag(other, 'a', ['b'])
  cacheControl({ ttl: 60, swr: 30, sie: 300 })
  cacheControl(request, { noStore: true })
  const told: Promise<boolean> | null = increment('a', 'b', { soft: true, again: 2 })
  increment(request, ['a'])
  increment(request, 'a', { soft: true })
  change('list', { old: { size: 1 }, new: { size: null } })
  change(request, 'list')
  const answer: number = cache.run(raw, response, () => 1)
  const one: string = valid(text) ? text : encode('a')
  new Client({ url: 'http://127.0.0.1:9080' }).purge({ tags: [one], soft: true }).then((count: number | null) => count, (error: SidecarError) => error.status)

  // @ts-expect-error: what has no value has no tag
  tag('User', undefined)
  // @ts-expect-error: a number is no tag
  cacheTag(42)
  // @ts-expect-error: the option is called soft
  increment('a', { softly: true })
  // @ts-expect-error: seconds are numbers
  cacheControl({ ttl: '60' })
  // @ts-expect-error: a purge names one thing
  new Client({ url: 'a' }).purge({})
  // @ts-expect-error: it is called adminUrls
  tagalong({ adminUrl: 'a' })
  return { isTaken, told, answer }
}
