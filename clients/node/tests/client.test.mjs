// Outside of requests: calls of the admin interface, whatever that answers.
import assert from 'node:assert/strict'
import http from 'node:http'
import { after, before, describe, test } from 'node:test'
import { Client, SidecarError, tagalong } from 'tagalong-cache'
import { deadUrl, listening, Log, Sidecar, skip, TOKEN } from './sidecar.mjs'

/**
 * An admin interface that answers what it is told, one after the other and then 200, and keeps what it is asked.
 * @param {...(number | ((response: http.ServerResponse) => void))} answers
 */
async function admin (...answers) {
  const asked = []
  const server = http.createServer(async (request, response) => {
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece
    asked.push({ path: request.url, token: request.headers.authorization, body: JSON.parse(text) })
    const answer = answers.shift() ?? 200
    if (typeof answer === 'function') answer(response)
    else response.writeHead(answer, { 'Content-Type': 'application/json' }).end('{"purged": 3}')
  })
  const url = await listening(server)
  after(() => { server.closeAllConnections(); server.close() })
  return { asked, url }
}

function outside (options) {
  const log = new Log()
  return { log, ...tagalong({ logger: log, token: TOKEN, ...options }) }
}

test('an increment outside of a request is told at once, with all that was said of it', async () => {
  const { asked, url } = await admin()
  const { increment, change, log } = outside({ adminUrls: `${url}/` })
  assert.equal(await increment('A:1', ['A:2'], { soft: true, again: 2 }), true)
  assert.equal(await change('list', { old: { size: 1 }, new: { size: null } }), true)
  assert.deepEqual(asked, [
    { path: '/v1/tags/increment', token: `Bearer ${TOKEN}`, body: { tags: ['A:1', 'A:2'], soft: true, again: '2s' } },
    { path: '/v1/change', token: `Bearer ${TOKEN}`, body: { rule: 'list', old: { size: '1' }, new: {} } }
  ])
  assert.deepEqual([log.warnings, log.errors], [[], []])
})

test('a tag outside of a request is harmless', () => {
  const { cacheTag, cacheControl, log } = outside({})
  assert.deepEqual([cacheTag('A:1'), cacheControl({ ttl: 1 })], [false, false])
  assert.deepEqual([log.warnings, log.errors], [[], []])
})

test('an increment of nothing tells nobody', async () => {
  const { increment, log } = outside({})
  assert.equal(await increment([]), null)
  assert.deepEqual(log.warnings, [])
})

test('a sidecar that cannot, or is not there for a moment, is asked again', async () => {
  const { asked, url } = await admin(503, response => response.destroy())
  const { increment, log } = outside({ adminUrls: url })
  assert.equal(await increment('A:1'), true)
  assert.equal(asked.length, 3)
  assert.deepEqual(log.errors, [])
})

test('a sidecar that hangs is given up in time', async () => {
  const { asked, url } = await admin(() => {}, () => {}, () => {})
  const { increment, log } = outside({ adminUrls: url, timeout: 0.05, retries: 2 })
  assert.equal(await increment('A:1'), false)
  assert.equal(asked.length, 3)
  assert.match(log.errors[0], /timeout/)
})

test('what is refused is not tried again, is false, and is logged without the token', async () => {
  for (const status of [401, 403, 409, 422]) {
    const { asked, url } = await admin(status)
    const { increment, log } = outside({ adminUrls: url })
    assert.equal(await increment('A:1'), false)
    assert.equal(asked.length, 1)
    assert.match(log.errors.join(), new RegExp(`1 changes .*"A:1".* ${status} `))
    assert.doesNotMatch(log.errors.join(), new RegExp(TOKEN))
  }
})

test('a token is for the sidecar it was given for, and goes nowhere else', async () => {
  const other = await admin()
  const { url } = await admin(response => response.writeHead(307, { Location: `${other.url}/v1/tags/increment` }).end())
  const { increment, log } = outside({ adminUrls: url })
  assert.equal(await increment('A:1'), false)
  assert.deepEqual(other.asked, [])
  assert.match(log.errors[0], / 307 /)
})

test('every sidecar is told, and one that is down makes it false', async () => {
  const { asked, url } = await admin()
  const dead = await deadUrl()
  const { increment, log } = outside({ adminUrls: [dead, url], retries: 0 })
  assert.equal(await increment('A:1'), false)
  assert.equal(asked.length, 1)
  assert.match(log.errors.join(), /ECONNREFUSED/)
})

test('without an admin interface a change is false, and a warning says so once', async () => {
  const { increment, change, log } = outside({})
  assert.deepEqual([await increment('A:1'), await change('list')], [false, false])
  assert.equal(log.warnings.length, 1)
})

test('very many tags are several calls, none larger than the sidecar takes', async () => {
  const { asked, url } = await admin()
  const tags = Array.from({ length: 12_000 }, (_, at) => `Ä:${'x'.repeat(at % 200)}${at}`)
  assert.equal(await outside({ adminUrls: url }).increment(tags), true)
  assert.deepEqual(asked.flatMap(({ body }) => body.tags), tags)
  assert.ok(asked.length > 2 && asked.every(({ body }) => body.tags.length <= 10_000 && Buffer.byteLength(JSON.stringify(body)) <= 2 ** 20))
})

test('the client says what went wrong', async () => {
  const { url } = await admin(422)
  const client = new Client({ url, token: TOKEN, retries: 0 })
  await assert.rejects(client.purge({ url: 'no URL' }), error => error instanceof SidecarError && error.status === 422)
  assert.equal(await client.purge({ match: '*' }), 3)
  await assert.rejects(new Client({ url: await deadUrl(), retries: 0 }).purge({ all: true }), error => error instanceof SidecarError && error.status === undefined)
})

test('settings that cannot be right are refused at once, and not repeated', () => {
  for (const options of [
    { adminUrls: 'localhost:9080' }, { adminUrls: ['http://user:secret@127.0.0.1:1'] }, { adminUrls: 'unix:/run/a.sock' }, { adminUrls: 'http://a/?b' },
    { token: '' }, { token: 'a secret\r\nX-Evil: 1' }, { timeout: 0 }, { retries: -1 }, { maxTagBytes: '5' }, { adminURL: 'http://127.0.0.1:1' },
    { logger: null }, { logger: { warn () {} } }
  ]) assert.throws(() => tagalong(options), error => error instanceof TypeError && !error.message.includes('secret'), JSON.stringify(options))
})

test('a token that no header can carry is refused, and not repeated', () => {
  for (const token of ['', 'a secret\nof two lines', 'ein geheimer Schlüssel €']) {
    assert.throws(() => new Client({ url: 'http://127.0.0.1:1', token }), error => error instanceof TypeError && !/secret|geheim/.test(error.message))
  }
})

describe('the real sidecar', { skip }, () => {
  const sidecar = new Sidecar()
  before(async () => sidecar.start(await deadUrl()))
  after(() => sidecar.stop())

  test('has a tag that was incremented outside of a request', async () => {
    const { increment, change, log } = outside({ adminUrls: sidecar.admin })
    assert.equal(await sidecar.version('Job:Zürich'), null)
    assert.equal(await increment('Job:Zürich'), true)
    assert.ok(await sidecar.version('Job:Zürich') > 0)
    assert.equal(await change('list', { old: { size: 'é' } }), true)
    assert.deepEqual(log.errors, [])
  })

  test('takes the longest tags that are made here, and ten thousand at once', async () => {
    const { increment, log } = outside({ adminUrls: sidecar.admin, timeout: 20 })
    assert.equal(await increment('x'.repeat(4096), Array.from({ length: 10_000 }, (_, at) => `N:${at}`)), true)
    assert.ok(await sidecar.version('N:9999') > 0)
    assert.deepEqual(log.errors, [])
  })

  test('refuses another token, which is told', async () => {
    const { increment, log } = outside({ adminUrls: sidecar.admin, token: 'another' })
    assert.equal(await increment('A:1'), false)
    assert.match(log.errors[0], /401/)
  })

  test('purges by each way', async () => {
    const client = new Client({ url: sidecar.admin, token: TOKEN })
    assert.equal(await client.purge({ tags: ['Job:1'], soft: true }), null)
    assert.equal(await client.purge({ rule: 'list' }), null)
    assert.equal(await client.purge({ url: 'http://shop.example/a' }), null)
    assert.equal(await client.purge({ match: '*nothing*' }), 0)
    await assert.rejects(client.purge({ group: 'unknown' }), SidecarError)
    assert.equal(await client.purge({ all: true }), null)
  })
})
