// Apps on each framework behind the real sidecar.
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import { after, before, describe, test } from 'node:test'
import fastify from 'fastify'
import { tag, tagalong } from 'tagalong-cache'
import { Barrier, FRAMEWORKS } from './apps.mjs'
import { ask, deadUrl, Log, Sidecar, skip, THROUGH, TOKEN, until } from './sidecar.mjs'

const HIT = /tagalong; hit/
const FORGOTTEN = /fwd=stale.*detail=invalidated/
const HOSTILE = ['a,b', 'a;soft', 'say "hi"', '100%', 'me@home', 'two words', 'Zürich', '日本語', '🍵', 'a:b', 'a\r\nX-Evil: 1', 'tab\there', 'a%2Cb', '\u00a0\u2028', '\u0085', "it's", '~all', 'ÿ']

test('what an app is asked by Fastify\'s own inject, in its tests, it answers as always', async () => {
  const app = fastify()
  const cache = tagalong({ logger: new Log() })
  await app.register(cache.fastify)
  app.register(async inner => inner.get('/page', async () => { // a context of its own, which the plugin is for too
    cache.cacheTag('Stadt:Zürich')
    cache.cacheControl({ ttl: 60 })
    return 'für'
  }))
  app.get('/hijacked', (request, reply) => {
    reply.hijack()
    cache.increment('A:1')
    reply.raw.end('für')
  })
  const page = await app.inject('/page')
  assert.deepEqual([Buffer.from(page.headers['cache-tag'], 'latin1').toString(), page.headers['tagalong-cache-control'], page.body], ['Stadt:Zürich', 'max-age=60', 'für'])
  const hijacked = await app.inject('/hijacked')
  assert.deepEqual([hijacked.headers['cache-tag-increment'], hijacked.body], ['A:1', 'für'])
})

for (const [name, start] of Object.entries(FRAMEWORKS)) {
  describe(name, { skip }, () => {
    const log = new Log()
    const state = { events: new EventEmitter() }
    const sidecar = new Sidecar()
    let app, cache

    before(async () => {
      // A free port: the app has to know the admin interface before the sidecar knows the app.
      const admin = await deadUrl()
      cache = tagalong({ adminUrls: admin, token: TOKEN, logger: log })
      app = await start(cache, state)
      await sidecar.start(app.url, admin)
    })
    after(async () => {
      await sidecar.stop()
      await app.stop()
    })

    async function stored (path) {
      await sidecar.get(path)
      assert.match(await sidecar.get(path), HIT, path)
    }

    test('a page is a miss, then a hit, and a miss once its tag was incremented', async () => {
      const first = await ask(sidecar.url, '/page/1')
      assert.match(first.cache, /fwd=uri-miss; stored/)
      assert.equal(first.text, 'Seite 1 für alle')
      assert.deepEqual(first.lines('cache-tag'), [])
      assert.match(await sidecar.get('/page/1'), /hit; ttl=(300|29\d)/)
      await stored('/page/2')
      assert.equal((await ask(sidecar.url, '/touch', { tags: ['Page:1'] })).status, 200)
      assert.match(await sidecar.get('/page/1'), FORGOTTEN)
      assert.match(await sidecar.get('/page/2'), HIT)
    })

    test('a tag of hostile values is the one that the template of a rule makes of them', async () => {
      for (const value of HOSTILE) {
        const path = `/echo/${encodeURIComponent(value)}`
        await stored(path)
        const answer = await ask(sidecar.url, '/touch-value', { name: 'Echo', instance: [value] })
        assert.equal(answer.status, 200)
        assert.match(await sidecar.get(path), FORGOTTEN, JSON.stringify(value))
      }
    })

    test('a tag of several parts is the one that a template with several placeholders makes', async () => {
      await stored('/pairs/a%2Cb/c:d')
      await ask(sidecar.url, '/touch-value', { name: 'Pair', instance: ['a,b', 'c:d'] })
      assert.match(await sidecar.get('/pairs/a%2Cb/c:d'), FORGOTTEN)
    })

    test('a page with a hostile tag is forgotten by that tag, told by the admin interface', async () => {
      for (const value of HOSTILE) {
        const path = `/page/${encodeURIComponent(value)}`
        await stored(path)
        assert.equal(await cache.increment(tag('Page', value)), true)
        assert.match(await sidecar.get(path), FORGOTTEN, JSON.stringify(value))
      }
    })

    test('a soft increment lets the old page be served once more', async () => {
      await stored('/page/soft')
      await ask(sidecar.url, '/touch', { tags: ['Page:soft'], soft: true })
      assert.match(await sidecar.get('/page/soft'), /hit.*detail=invalidated/)
    })

    test('a change of values beyond ASCII forgets the lists of the old one and the new one alone', async () => {
      const lists = ['/list?size=gr%C3%BCn', '/list?size=%22b%22', '/list?size=c']
      for (const path of lists) await stored(path)
      await ask(sidecar.url, '/change', { old: { size: 'grün' }, new: { size: '"b"' } })
      const [green, quoted, other] = [await sidecar.get(lists[0]), await sidecar.get(lists[1]), await sidecar.get(lists[2])]
      assert.match(green, FORGOTTEN)
      assert.match(quoted, FORGOTTEN)
      assert.match(other, HIT)
    })

    test('of 5,000 increments in one request each has landed when the answer is there', async () => {
      await stored('/page/kept')
      const start = await sidecar.increments()
      await ask(sidecar.url, '/many', { count: 0 })
      const before = await sidecar.increments()
      const own = before - start // a write forgets its own URL
      const answer = await ask(sidecar.url, '/many', { count: 5000 })
      assert.equal(answer.text, 'many')
      assert.equal(await sidecar.increments() - before, 5000 + own)
      for (let at = 0; at < 5000; at += 49) assert.notEqual(await sidecar.version(`Many:${at}`), null, `Many:${at}`)
      assert.match(await sidecar.get('/page/kept'), HIT) // and nothing else was
    })

    test('what was changed before an exception is told by the answer of 500', async () => {
      await stored('/page/failed')
      assert.equal((await ask(sidecar.url, '/fail', { tags: ['Page:failed'] })).status, 500)
      assert.match(await sidecar.get('/page/failed'), FORGOTTEN)
    })

    test('what was changed before a head that could not be made is told by the answer of 500', async () => {
      await stored('/page/refused')
      assert.equal((await ask(sidecar.url, '/refused', { tags: ['Page:refused'] })).status, 500)
      assert.match(await sidecar.get('/page/refused'), FORGOTTEN)
    })

    test('a page that fails is not stored, though it has said how long it lives', async () => {
      assert.equal((await ask(sidecar.url, '/failing')).status, 500)
      assert.match(await sidecar.get('/failing'), /detail=(no-freshness|hit-for-miss)/)
    })

    test('an increment while the response is streamed counts before its end', async () => {
      await stored('/page/streamed')
      const request = http.request(`${sidecar.url}/stream`, { method: 'POST', agent: false, headers: { 'Content-Type': 'application/json' } })
      request.end(JSON.stringify({ tags: ['Page:streamed'] }))
      const [response] = await once(request, 'response')
      assert.equal(String((await once(response, 'data'))[0]), 'begun ')
      assert.match(await sidecar.get('/page/streamed'), HIT)
      state.events.emit('go on')
      assert.equal(String((await once(response, 'data'))[0]), 'ended')
      assert.equal(state.told, true)
      assert.match(await sidecar.get('/page/streamed'), FORGOTTEN)
      if (!response.readableEnded) await once(response.resume(), 'end')
    })

    test('requests that are under way together do not mix what they have changed', async () => {
      state.barrier = new Barrier(2)
      const [a, b] = await Promise.all(['a', 'b'].map(name => ask(app.url, '/meet', { name }, THROUGH)))
      assert.deepEqual(a.lines('cache-tag-increment'), ['Before:a, After:a'])
      assert.deepEqual(b.lines('cache-tag-increment'), ['Before:b, After:b'])
    })

    test('a request whose body comes late and in pieces is still its own', async () => {
      const begin = name => {
        const request = http.request(`${app.url}/touch`, { method: 'POST', agent: false, headers: { ...THROUGH, 'Content-Type': 'application/json' } })
        request.write('{"tags": ')
        return { request, name }
      }
      const arrived = new Promise(resolve => {
        let count = 0
        app.server.on('request', () => { if (++count === 2) resolve() })
      })
      const begun = ['a', 'b'].map(begin)
      await arrived
      for (const { request, name } of begun.reverse()) {
        request.end(`["Late:${name}"]}`)
        const [response] = await once(request, 'response')
        assert.equal(response.resume().headers['cache-tag-increment'], `Late:${name}`)
      }
    })

    test('a request that came through no sidecar tells the admin interface, before it is answered', async () => {
      await stored('/page/around')
      await ask(app.url, '/touch', { tags: ['Page:around'] })
      assert.match(await sidecar.get('/page/around'), FORGOTTEN)
    })

    test('what was changed for somebody who has left is told all the same', async () => {
      await stored('/page/left')
      const request = http.request(`${app.url}/slow`, { method: 'POST', agent: false, headers: { ...THROUGH, 'Content-Type': 'application/json' } })
      request.on('error', () => {}) // that is how it leaves
      request.end(JSON.stringify({ tags: ['Page:left'] }))
      await once(state.events, 'is slow')
      request.destroy()
      await until('the increment', async () => FORGOTTEN.test(await sidecar.get('/page/left')))
      state.events.emit('go on')
    })

    test('a page with more tags than fit is answered, and not stored though its rule would force that', async () => {
      for (const count of [300, 2000, 6000]) {
        const first = await ask(sidecar.url, `/tagged/${count}`)
        assert.equal(first.status, 200)
        const second = await ask(sidecar.url, `/tagged/${count}`)
        assert.doesNotMatch(second.cache, /tagalong; hit|; stored/, `${count} tags: ${second.cache}`)
      }
      await stored('/tagged/3')
    })

    test('of all this the pages with too many tags alone are logged', () => {
      assert.deepEqual([log.warnings.length, log.errors], [4, []])
      for (const warning of log.warnings) assert.match(warning, /[26]000 tags/)
    })
  })

  describe(`${name}, with an admin interface that is down`, { skip }, () => {
    const log = new Log()
    const sidecar = new Sidecar()
    let app

    before(async () => {
      app = await start(tagalong({ adminUrls: await deadUrl(), token: TOKEN, retries: 1, logger: log }), {})
      await sidecar.start(app.url)
    })
    after(async () => {
      await sidecar.stop()
      await app.stop()
    })

    test('increments in headers count as always', async () => {
      await sidecar.get('/page/1')
      assert.equal((await ask(sidecar.url, '/touch', { tags: ['Page:1'] })).status, 200)
      assert.match(await sidecar.get('/page/1'), FORGOTTEN)
      assert.deepEqual(log.errors, [])
    })

    test('increments that nobody could be told of forget everything, and the log says so', async () => {
      await sidecar.get('/page/other')
      assert.match(await sidecar.get('/page/other'), HIT)
      const answer = await ask(sidecar.url, '/many', { count: 5000 })
      assert.deepEqual([answer.status, answer.text], [200, 'many'])
      assert.match(await sidecar.get('/page/other'), FORGOTTEN)
      assert.equal(log.errors.length, 2)
      assert.match(log.errors[0], /could not be told: .*ECONNREFUSED/)
      assert.match(log.errors[1], /everything is forgotten/)
      assert.doesNotMatch(log.errors.join(), new RegExp(TOKEN))
    })
  })
}
