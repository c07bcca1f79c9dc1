// What becomes of a response of node:http, with no sidecar and no framework.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, test } from 'node:test'
import { tagalong } from 'tagalong-cache'
import { ask, deadUrl, listening, Log, THROUGH, until } from './sidecar.mjs'

/** Answers one request with `handle`, and says what came, what was logged and the cache. */
async function answer (handle, { options = {}, path = '/' } = {}) {
  const log = new Log()
  const cache = tagalong({ logger: log, ...options })
  const server = http.createServer((request, response) => cache.run(request, response, () => handle(cache, response, request)))
  return { ...await ask(await served(server), path, undefined, THROUGH), log }
}

/** Listens until the test is over, however it ends. */
async function served (server) {
  const url = await listening(server)
  after(() => { server.closeAllConnections?.(); server.close() })
  return url
}

/** An admin interface that takes everything, when it is told to. */
async function slowAdmin () {
  const told = []
  let open
  const opened = new Promise(resolve => { open = resolve })
  const server = http.createServer(async (request, response) => {
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece
    told.push(...JSON.parse(text).tags)
    await opened
    response.setHeader('Content-Type', 'application/json').end('{}')
  })
  return { told, open, url: await served(server) }
}

/** How a head may come to be, with a body that is not ASCII. */
const ENDINGS = {
  'end with a text': response => response.end('für'),
  'end with a text and its encoding': response => response.end('für', 'utf8'),
  'end with bytes': response => response.end(Buffer.from('für')),
  'several writes': response => { response.write('f'); response.write('ür', 'utf8'); response.end() },
  'flushHeaders first': response => { response.flushHeaders(); response.end('für') },
  'writeHead first': response => response.writeHead(200, { 'X-Own': 'a' }).end('für'),
  'writeHead with a message and a list': response => response.writeHead(200, 'Fine', ['X-Own', 'a', 'X-Own', 'b']).end('für'),
  'a pipe': response => { Readable.from([Buffer.from('f'), Buffer.from('ür')]).pipe(response) }
}

for (const [how, end] of Object.entries(ENDINGS)) {
  test(`tags beyond ASCII arrive as they are: ${how}`, async () => {
    const { lines, text } = await answer((cache, response) => {
      cache.cacheTag('Stadt:Zürich', 'Tee:🍵')
      end(response)
    })
    assert.deepEqual([lines('cache-tag'), text], [['Stadt:Zürich, Tee:🍵'], 'für'])
    if (how.startsWith('writeHead')) assert.equal(lines('x-own')[0], 'a')
  })

  test(`a response waits for what has no room, and is whole then: ${how}`, async () => {
    const admin = await slowAdmin()
    const held = []
    const { lines, text } = await answer(async (cache, response) => {
      cache.increment('Ort:Köln', 'x'.repeat(200))
      end(response)
      await until('the call', () => admin.told.length > 0)
      held.push(response.headersSent, response.socket.bytesWritten) // the app is not to begin another answer
      admin.open()
    }, { options: { adminUrls: admin.url, maxIncrementBytes: 100 } })
    assert.deepEqual([held, lines('cache-tag-increment'), text, admin.told], [[true, 0], ['Ort:Köln'], 'für', ['x'.repeat(200)]])
    assert.deepEqual(lines('x-litespeed-purge'), [])
  })
}

test('a large body is held back while the response waits, and arrives whole and in order', async () => {
  const admin = await slowAdmin()
  let asked = 0
  const { text } = await answer(async (cache, response) => {
    cache.increment('x'.repeat(200))
    const body = Readable.from((function * () {
      for (let at = 0; at < 2000; at++) {
        asked++
        yield Buffer.from(`${at},`.padEnd(1000, '.'))
      }
    })())
    const piped = pipeline(body, response)
    await until('the call', () => admin.told.length > 0)
    assert.ok(asked < 100, `${asked} pieces were made that nobody could send`)
    admin.open()
    await piped
  }, { options: { adminUrls: admin.url, maxIncrementBytes: 100 } })
  assert.deepEqual(text.match(/\d+/g).map(Number), Array.from({ length: 2000 }, (_, at) => at))
})

test('what nobody could be told of forgets everything', async () => {
  const { status, lines, text, log } = await answer((cache, response) => {
    cache.increment('a', 'x'.repeat(200))
    response.end('done')
  }, { options: { adminUrls: await deadUrl(), retries: 0, maxIncrementBytes: 100 } })
  assert.deepEqual([status, text, lines('x-litespeed-purge'), lines('cache-tag-increment')], [200, 'done', ['*'], ['a']])
  assert.equal(log.errors.length, 1)
})

test('without an admin interface what has no room forgets everything', async () => {
  const { lines, log } = await answer((cache, response) => {
    cache.increment('x'.repeat(200))
    response.end('done')
  }, { options: { maxIncrementBytes: 100 } })
  assert.deepEqual(lines('x-litespeed-purge'), ['*'])
  assert.equal(log.warnings.length, 1)
})

test('a call that is wrong and had to wait ends its response alone', async () => {
  const admin = await slowAdmin()
  const log = new Log()
  await assert.rejects(answer((cache, response) => {
    cache.increment('x'.repeat(200))
    response.writeHead(99)
    response.end()
    admin.open()
  }, { options: { adminUrls: admin.url, maxIncrementBytes: 100, logger: log } }))
  assert.match(log.errors[0], /could not be sent.*99/)
})

test('what the app has set itself stays, and its own freshness counts', async () => {
  for (const [how, set] of Object.entries({
    setHeader: response => { response.setHeader('Cache-Tag', 'own'); response.setHeader('Tagalong-Cache-Control', 'max-age=5'); response.end() },
    writeHead: response => response.writeHead(200, { 'cache-tag': 'own', 'Tagalong-Cache-Control': 'max-age=5', 'Set-Cookie': ['a=1', 'b=2'] }).end()
  })) {
    const { lines } = await answer((cache, response) => {
      cache.cacheTag('ours')
      cache.cacheControl({ ttl: 60 })
      set(response)
    })
    assert.deepEqual([lines('cache-tag'), lines('tagalong-cache-control')], [['own', 'ours'], ['max-age=5']], how)
    if (how === 'writeHead') assert.deepEqual(lines('set-cookie'), ['a=1', 'b=2'])
  }
})

test('a response of which nothing was said is as it would be without', async () => {
  const { lines, text } = await answer((cache, response) => response.writeHead(200, ['X-A', '1', 'X-A', '2']).end('für'))
  assert.deepEqual([lines('x-a'), text], [['1', '2'], 'für'])
  for (const name of ['cache-tag', 'cache-tag-increment', 'cache-tag-change', 'tagalong-cache-control', 'x-litespeed-purge']) assert.deepEqual(lines(name), [])
})

test('a tag that comes after the head is refused loudly', async () => {
  let isTaken
  const { log } = await answer((cache, response) => {
    response.write('a')
    isTaken = [cache.cacheTag('Late:1'), cache.cacheControl({ ttl: 1 })]
    response.end()
  })
  assert.deepEqual(isTaken, [false, false])
  assert.match(log.errors.join('\n'), /Late:1.* came after the head[^]*cacheControl came after the head/)
})

test('a request may be named where its context is lost', async () => {
  const { lines } = await answer((cache, response, request) => {
    const elsewhere = new (class extends EventTarget {})()
    assert.equal(cache.cacheTag(request, 'A:1', ['A:2']), true)
    assert.equal(cache.cacheTag(response, 'A:3'), true)
    assert.equal(cache.cacheTag({ raw: request }, 'A:4'), true)
    assert.equal(cache.cacheTag({ req: request, res: response }, 'A:5'), true)
    assert.equal(cache.cacheTag(elsewhere, 'A:6'), false)
    cache.cacheControl(request, { ttl: 7 })
    assert.equal(cache.increment(request, 'B:1', { soft: true }), null)
    assert.equal(cache.change(request, 'list', { old: { a: 1 } }), null)
    response.end()
  })
  assert.deepEqual(['cache-tag', 'tagalong-cache-control', 'cache-tag-increment', 'cache-tag-change'].flatMap(lines),
    ['A:1, A:2, A:3, A:4, A:5', 'max-age=7', 'B:1;soft', '"list";old.a="1"'])
})

test('what is no tag is refused where it is said, and nothing of it is collected', async () => {
  const { lines } = await answer((cache, response) => {
    for (const text of ['a,b', 'a\r\nSet-Cookie: b=1', '', '~all', undefined]) {
      assert.throws(() => cache.cacheTag('fine', text), TypeError)
      assert.throws(() => cache.increment('fine', text), TypeError)
    }
    assert.throws(() => cache.increment('a;soft'), TypeError)
    assert.throws(() => cache.cacheControl({ ttl: '60' }), TypeError)
    assert.throws(() => cache.cacheControl({ maxAge: 60 }), TypeError)
    cache.cacheTag('Api;v=2')
    response.end()
  })
  assert.deepEqual([lines('cache-tag'), lines('cache-tag-increment'), lines('set-cookie')], [['Api;v=2'], [], []])
})

test('a middleware that is there twice says everything once', async () => {
  const { lines } = await answer((cache, response, request) => cache.express()(request, response, () => {
    cache.cacheTag('A')
    response.end()
  }))
  assert.deepEqual(lines('cache-tag'), ['A'])
})

test('a client that leaves while its response waits breaks nothing', async () => {
  const admin = await slowAdmin()
  const log = new Log()
  const cache = tagalong({ adminUrls: admin.url, maxIncrementBytes: 100, logger: log })
  const server = http.createServer((request, response) => cache.run(request, response, () => {
    cache.increment('x'.repeat(200))
    response.end('done')
  }))
  const request = http.get(await served(server), { agent: false, headers: THROUGH })
  request.on('error', () => {}) // that is how it leaves
  const [, response] = await once(server, 'request')
  await until('the call', () => admin.told.length > 0)
  request.destroy()
  if (!response.destroyed) await once(response, 'close')
  admin.open()
  await until('the second call', () => admin.told.length > 1) // told again, as nobody knows
  assert.deepEqual(log.errors, [])
})

test('responses of HTTP/2 are the same', async () => {
  const admin = await slowAdmin()
  admin.open()
  const cache = tagalong({ adminUrls: admin.url, maxIncrementBytes: 100 })
  const server = http2.createServer((request, response) => cache.run(request, response, () => {
    cache.cacheTag('Stadt:Zürich')
    if (request.url === '/held') cache.increment('a', 'x'.repeat(200))
    if (request.url === '/head') response.writeHead(200, { 'x-own': 'a' })
    if (request.url === '/write') response.write('')
    response.end('für')
  }))
  const session = http2.connect(await served(server))
  after(() => session.destroy())
  for (const path of ['/', '/held', '/head', '/write']) {
    const stream = session.request({ ':path': path, 'surrogate-capability': THROUGH['Surrogate-Capability'] }).setEncoding('utf8')
    const [head] = await once(stream, 'response')
    let text = ''
    for await (const piece of stream) text += piece
    assert.deepEqual([Buffer.from(head['cache-tag'], 'latin1').toString(), text], ['Stadt:Zürich', 'für'], path)
    assert.equal(head['cache-tag-increment'], path === '/held' ? 'a' : undefined)
    assert.equal(head['x-own'], path === '/head' ? 'a' : undefined)
  }
  assert.deepEqual(admin.told, ['x'.repeat(200)]) // once
})
