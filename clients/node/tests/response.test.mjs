// What becomes of a response of node:http, with no sidecar and no framework.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, test } from 'node:test'
import compression from 'compression'
import { tagalong } from 'tagalong-cache'
import { ask, deadUrl, listening, Log, THROUGH, until } from './sidecar.mjs'

/** Answers one request with `handle`, and says what came, what was logged and the cache. */
async function answer (handle, { options = {} } = {}) {
  const log = new Log()
  const cache = tagalong({ logger: log, ...options })
  const server = http.createServer((request, response) => cache.run(request, response, () => handle(cache, response, request)))
  return { ...await ask(await served(server), '/', undefined, THROUGH), log }
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
  assert.match(log.errors.join('\n'), /ECONNREFUSED[^]*everything is forgotten/)
})

test('without an admin interface what has no room forgets everything', async () => {
  const { lines, log } = await answer((cache, response) => {
    cache.increment('x'.repeat(200))
    response.end('done')
  }, { options: { maxIncrementBytes: 100 } })
  assert.deepEqual(lines('x-litespeed-purge'), ['*'])
  assert.equal(log.warnings.length, 1)
  assert.match(log.errors.join('\n'), /everything is forgotten/)
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

test('of several sidecars each is told before the answer, whichever of them it goes through', async () => {
  const admins = [await slowAdmin(), await slowAdmin()]
  let isSent = false
  const answered = answer((cache, response) => {
    cache.increment('A:1')
    response.on('finish', () => { isSent = true })
    response.end('done')
  }, { options: { adminUrls: admins.map(({ url }) => url) } })
  await until('both calls', () => admins.every(({ told }) => told.length > 0))
  assert.equal(isSent, false)
  admins.forEach(({ open }) => open())
  const { lines, text } = await answered
  assert.deepEqual([admins.map(({ told }) => told), lines('cache-tag-increment'), text], [[['A:1'], ['A:1']], ['A:1'], 'done'])
})

test('a sidecar that is down takes nothing from what the others store', async () => {
  const admin = await slowAdmin()
  admin.open()
  const { lines, text } = await answer((cache, response) => {
    cache.increment('A:1')
    response.end('done')
  }, { options: { adminUrls: [admin.url, await deadUrl()], retries: 0 } })
  assert.deepEqual([lines('cache-tag-increment'), lines('x-litespeed-purge'), text], [['A:1'], [], 'done'])
})

/** How making a head may fail. */
const FAILURES = {
  'a header that Node.js refuses': response => response.writeHead(200, { 'X-Own': 'a', 'X-Name': '日本' }),
  'a status that there is not': response => response.writeHead(99),
  'a body that is none': response => response.end(42),
  'a piece of a body that is none': response => response.write(null)
}

for (const [how, fail] of Object.entries(FAILURES)) {
  test(`what a response was to say is said by the one that stands in for it: ${how}`, async () => {
    const { status, lines, log } = await answer((cache, response) => {
      cache.cacheTag('A:1')
      cache.increment('B:1')
      assert.throws(() => fail(response))
      assert.deepEqual(response.getHeaderNames(), []) // as it was
      cache.cacheTag('A:2')
      cache.increment('B:2')
      response.writeHead(500).end('failed')
    })
    assert.deepEqual([status, lines('cache-tag'), lines('cache-tag-increment'), lines('x-own')], [500, ['A:1, A:2'], ['B:1, B:2'], []])
    assert.deepEqual([log.warnings, log.errors], [[], []])
  })
}

test('an error, and a page for one client, is given no life (L12)', async () => {
  for (const [send, control] of [
    [response => response.end(), ['max-age=60']],
    [response => response.writeHead(304).end(), ['max-age=60']],
    [response => response.writeHead(200, { 'Cache-Control': 'public, max-age=5' }).end(), ['max-age=60']],
    [response => response.writeHead(500).end(), []],
    [response => { response.statusCode = 404; response.end() }, []],
    [response => { response.setHeader('Cache-Control', 'max-age=5, Private'); response.end() }, []],
    [response => { response.setHeader('Cache-Control', ['max-age=5', 'no-cache="Set-Cookie"']); response.write('a'); response.end() }, []],
    [response => response.writeHead(200, { 'cache-control': 'no-store' }).end(), []],
    [response => response.writeHead(200, ['Cache-Control', 'no-cache']).end(), []],
    [response => response.writeHead(404, { 'Tagalong-Cache-Control': 'max-age=5' }).end(), ['max-age=5']]
  ]) {
    const { lines } = await answer((cache, response) => {
      cache.cacheTag('A')
      cache.cacheControl({ ttl: 60 })
      send(response)
    })
    assert.deepEqual([lines('cache-tag'), lines('tagalong-cache-control')], [['A'], control], String(send))
  }
  const { lines } = await answer((cache, response) => {
    cache.cacheControl({ noStore: true })
    response.writeHead(500).end()
  })
  assert.deepEqual(lines('tagalong-cache-control'), ['no-store'])
})

test('lists of headers are taken in each form that Node.js takes', async () => {
  for (const list of [
    ['X-Own', 'a', 'Set-Cookie', ['a=1', 'b=2']],
    ['X-Own', 'a', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
    [['X-Own', 'a'], ['Set-Cookie', ['a=1', 'b=2']]]
  ]) {
    const { lines } = await answer((cache, response) => {
      cache.cacheTag('A')
      response.writeHead(200, list).end()
    })
    assert.deepEqual(['x-own', 'set-cookie', 'cache-tag'].map(lines), [['a'], ['a=1', 'b=2'], ['A']], JSON.stringify(list))
  }
})

test('a response whose head has left already is let alone, and what has changed is told at once', async () => {
  const admin = await slowAdmin()
  admin.open()
  const log = new Log()
  const cache = tagalong({ adminUrls: admin.url, logger: log })
  const server = http.createServer((request, response) => {
    response.flushHeaders()
    cache.run(request, response, () => {
      assert.equal(cache.cacheTag('A'), false)
      cache.increment('B:1')?.then(() => response.end('done'))
    })
  })
  assert.equal((await ask(await served(server), '/', undefined, THROUGH)).text, 'done')
  assert.deepEqual(admin.told, ['B:1'])
  assert.match(log.errors.join('\n'), /"A" came after the head/)
})

test('what a connection that was upgraded has changed is told while it lasts', async () => {
  const admin = await slowAdmin()
  admin.open()
  const cache = tagalong({ adminUrls: admin.url })
  const server = http.createServer().on('upgrade', (request, socket) => {
    const response = new http.ServerResponse(request) // as @fastify/websocket hands it to the routes
    response.assignSocket(socket)
    cache.run(request, response, () => cache.increment('A:1'))
  })
  const request = http.get(await served(server), { agent: false, headers: { ...THROUGH, Connection: 'upgrade', Upgrade: 'websocket' } })
  request.on('error', () => {}) // that is how it ends
  await until('the call', () => admin.told.length > 0)
  request.destroy()
  assert.deepEqual(admin.told, ['A:1'])
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
    request.raw = Buffer.from('a body') // some apps keep it there
    assert.equal(cache.cacheTag(request, 'A:7'), true)
    cache.cacheControl(request, { ttl: 7 })
    assert.equal(cache.increment(request, 'B:1', { soft: true }), null)
    assert.equal(cache.change(request, 'list', { old: { a: 1 } }), null)
    response.end()
  })
  assert.deepEqual(['cache-tag', 'tagalong-cache-control', 'cache-tag-increment', 'cache-tag-change'].flatMap(lines),
    ['A:1, A:2, A:3, A:4, A:5, A:7', 'max-age=7', 'B:1;soft', '"list";old.a="1"'])
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

test('what compresses responses, and takes their methods over, may stand in front or behind', async () => {
  const admin = await slowAdmin()
  admin.open()
  const cache = tagalong({ adminUrls: admin.url, maxIncrementBytes: 100 })
  const handlers = { ours: cache.express(), theirs: compression({ threshold: 0 }) }
  const long = 'für '.repeat(50_000)
  for (const order of [['ours', 'theirs'], ['theirs', 'ours']]) {
    const [first, second] = order.map(name => handlers[name])
    const server = http.createServer((request, response) => first(request, response, () => second(request, response, () => {
      cache.cacheTag('Stadt:Zürich')
      if (request.url.startsWith('/held')) cache.increment('x'.repeat(200))
      response.setHeader('Content-Type', 'text/plain')
      if (request.url.endsWith('/end')) response.end(long)
      else if (request.url.endsWith('/writeHead')) response.writeHead(200, { 'X-Own': 'a' }).end(long)
      else Readable.from([Buffer.from(long)]).pipe(response)
    })))
    const url = await served(server)
    for (const path of ['/end', '/writeHead', '/pipe', '/held/end', '/held/writeHead', '/held/pipe']) {
      const response = await fetch(url + path, { headers: { ...THROUGH, Connection: 'close' }, signal: AbortSignal.timeout(10_000) })
      const tags = Buffer.from(response.headers.get('cache-tag'), 'latin1').toString()
      assert.deepEqual([response.headers.get('content-encoding'), tags, await response.text() === long], ['gzip', 'Stadt:Zürich', true], `${order} ${path}`)
    }
  }
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

test('what changes after the client has left is told, though the head that nobody reads could not be made', async () => {
  const admin = await slowAdmin()
  admin.open()
  const cache = tagalong({ adminUrls: admin.url })
  const server = http.createServer((request, response) => cache.run(request, response, async () => {
    await once(response, 'close')
    assert.throws(() => response.writeHead(99))
    cache.increment('A:1')
  }))
  const request = http.get(await served(server), { agent: false, headers: THROUGH })
  request.on('error', () => {}) // that is how it leaves
  await once(server, 'request')
  request.destroy()
  await until('the call', () => admin.told.includes('A:1'))
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
    if (request.url === '/flush') response.flushHeaders()
    response.end('für')
  }))
  const session = http2.connect(await served(server))
  after(() => session.destroy())
  for (const [method, path] of [['GET', '/'], ['GET', '/held'], ['GET', '/head'], ['GET', '/write'], ['GET', '/flush'], ['HEAD', '/'], ['HEAD', '/flush'], ['HEAD', '/write']]) {
    const stream = session.request({ ':method': method, ':path': path, 'surrogate-capability': THROUGH['Surrogate-Capability'] }).setEncoding('utf8')
    const [head] = await once(stream, 'response')
    let text = ''
    for await (const piece of stream) text += piece
    assert.deepEqual([Buffer.from(head['cache-tag'], 'latin1').toString(), text], ['Stadt:Zürich', method === 'HEAD' ? '' : 'für'], `${method} ${path}`)
    assert.equal(head['cache-tag-increment'], path === '/held' ? 'a' : undefined)
    assert.equal(head['x-own'], path === '/head' ? 'a' : undefined)
  }
  assert.deepEqual(admin.told, ['x'.repeat(200)]) // once
})

test('what a request of HTTP/2 has changed is told, though its client has left', async () => {
  const admin = await slowAdmin()
  admin.open()
  const cache = tagalong({ adminUrls: admin.url })
  const server = http2.createServer((request, response) => cache.run(request, response, async () => {
    cache.increment('Before:1')
    await once(response, 'close')
    cache.increment('After:1')
  }))
  const session = http2.connect(await served(server))
  after(() => session.destroy())
  const stream = session.request({ 'surrogate-capability': THROUGH['Surrogate-Capability'] })
  stream.on('error', () => {}) // that is how it leaves
  await once(server, 'request')
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await until('both calls', () => admin.told.length > 1)
  assert.deepEqual(admin.told.sort(), ['After:1', 'Before:1'])
})

test('a head beyond ASCII that is flushed and has no body is made, and no body with it', async () => {
  for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304]]) {
    const cache = tagalong({ logger: new Log() })
    const server = http.createServer({ rejectNonStandardBodyWrites: true }, (request, response) => cache.run(request, response, () => {
      cache.cacheTag('Stadt:Zürich')
      response.statusCode = status
      response.flushHeaders()
      assert.equal(response.headersSent, true)
      response.end()
    }))
    const [response] = await once(http.request(await served(server), { method, agent: false }).end(), 'response')
    response.resume()
    assert.deepEqual([response.statusCode, Buffer.from(response.headers['cache-tag'], 'latin1').toString()], [status, 'Stadt:Zürich'])
  }
})
