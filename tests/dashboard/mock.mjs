// A sidecar's admin interface that is made up, to see the dashboard in every state: `node mock.mjs [state] [port]`.
//
// The shapes are those of the real one, which e2e.test.mjs runs against; the numbers come from a seed, so that two runs
// look the same.
import fs from 'node:fs'
import http from 'node:http'
import { fileURLToPath } from 'node:url'

const ASSETS = fileURLToPath(new URL('../../src/admin/dashboard/', import.meta.url))
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml', txt: 'text/plain; charset=utf-8' }

/** What the real one sends with the page, and that no text may become markup. */
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
export const TOKEN = 'correct-horse'
export const HOSTILE = [
  '<img src=x onerror="window.hacked=1">',
  '"><script>window.hacked=1</script>',
  "User:'; DROP TABLE users; --",
  'User:\u202e24 deleted\u202c',
  '{{constructor.constructor("window.hacked=1")()}}',
  'tab\tnew\nline\u0000nul\u200bzero',
  `Long:${'x'.repeat(995)}`,
  '__proto__'
]

const BOUNDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const START = Date.parse('2026-03-14T08:00:00Z')
const LOAD_SEED = 7

/** The states there are, each with what it changes. */
export const STATES = {
  healthy: {},
  quiet: { rate: 0, entries: 0 },
  degraded: {
    health: {
      status: 'degraded',
      reasons: [
        { code: 'fenced', message: 'Nothing was heard of the shared store for 4 s: what is stored is not served, requests go to the app.' },
        { code: 'increments-wait', message: '12 increments are not in the shared store yet.' },
        { code: 'store-away', message: 'There is no connection to the shared store: connection refused.' }
      ]
    },
    fenced: true,
    outbox: 12,
    redis: { connected: false }
  },
  'bad-reload': {
    health: { status: 'degraded', reasons: [{ code: 'rules-not-reloaded', message: 'A rule file is wrong; the rules from before stay in force.' }] },
    reload: {
      failed: true,
      mistakes: [
        'rules/shop.yaml:14:9: unknown field `tag`, expected one of `id`, `match`, `tags`, `vary_on`, `ttl`',
        'rules/shop.yaml:22:12: expected a duration such as 60s, 5m or 1h, found `soon`',
        'rules/users.yaml:3:20: this regular expression does not end: unclosed group\n  (?P<id>\\d+\n  ^'
      ]
    }
  },
  alone: { redis: null },
  token: { token: TOKEN },
  hostile: { hostile: true },
  many: { many: 300 }
}

/** A number from 0 to 1 that only looks like chance (mulberry32). */
function chance (seed) {
  return () => {
    seed = (seed + 0x6D2B79F5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const RULES = [
  { rule: 'product', match: 'GET shop.example /products/{id}', key: 'host, capture.id, query', tags: ['Product:{id}', 'products'], life: 'at most 1h', place: 'rules/shop.yaml:3', weight: 8, ratio: 0.96 },
  { rule: 'listing', match: 'GET shop.example /products', key: 'host, query (page, sort)', tags: ['products'], life: '5m, stale 30s', place: 'rules/shop.yaml:11', weight: 5, ratio: 0.91 },
  { rule: 'user-profile', match: 'GET shop.example /users/{id}', key: 'host, capture.id, token.sub', tags: ['User:{id}', 'Profile:{id}'], life: '60s', place: 'rules/users.yaml:2', weight: 3, ratio: 0.83 },
  { rule: 'dashboard', match: 'GET shop.example /dashboard', key: 'host, header.accept-language', tags: ['Dashboard'], life: 'what the response says', place: 'rules/users.yaml:15', weight: 1, ratio: 0.74 },
  { rule: 'search', match: 'POST shop.example /search', key: 'host, body', tags: ['products'], life: '30s', place: 'rules/search.yaml:1', weight: 1.5, ratio: 0.42, mode: 'shadow' },
  { rule: 'cart', match: '* shop.example /cart', key: 'none', tags: [], life: 'none', place: 'rules/shop.yaml:31', weight: 2, ratio: 0, mode: 'bypass' },
  { rule: '', match: 'what no rule matches', key: 'host, path, query', tags: [], life: 'what the response says (RFC 9111)', weight: 1, ratio: 0.3 }
]
const CALLERS = ['POST /users/42', 'PUT /products/7', 'DELETE /products/19/reviews/3', 'POST /v1/purge (deploy)', 'POST /orders']
const SOURCES = ['response', 'response', 'response', 'other-sidecar', 'admin', 'repeat']

const counts = () => ({ requests: 0, hits: 0, stale: 0, misses: 0, collapsed: 0, bypass: 0, refused: 0, stored: 0, not_stored: {}, outcomes: {}, load_seconds: 0, loads: 0 })
const histogram = () => ({ count: 0, sum_seconds: 0, buckets: BOUNDS.map(le => [le, 0]) })
const hex = n => n.toString(16).padStart(32, '0')
const time = at => new Date(at).toISOString()

export class Mock {
  #server
  #streams = new Set()
  #sockets = new Set()
  #timer
  #port = 0

  constructor (state = 'healthy', { seconds = 420, live = true } = {}) {
    this.state = { rate: 900, entries: 1840, ...STATES[state] }
    this.random = chance(LOAD_SEED)
    this.calls = []
    this.problems = new Map() // "METHOD /path" -> [status, problem], for what is to be refused
    this.live = live
    this.#build()
    this.past = []
    const now = Date.now()
    for (let i = seconds; i >= 0; i--) this.past.push(this.#second(now - i * 1000))
  }

  async start (port = 0) {
    this.#server = http.createServer((request, response) => this.#answer(request, response).catch(error => {
      console.error(error)
      response.destroy()
    }))
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    await new Promise(resolve => this.#server.listen(port || this.#port, '127.0.0.1', resolve))
    this.#port = this.#server.address().port
    this.url = `http://127.0.0.1:${this.#port}`
    if (this.live) this.#timer = setInterval(() => this.tick(), 1000)
    return this
  }

  /** Nothing answers at the port any more; `start` brings it back. */
  async stop () {
    clearInterval(this.#timer)
    this.#streams.clear()
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  tick () {
    const stats = this.#second(Date.now())
    this.past.push(stats)
    this.past.shift()
    this.send('stats', stats)
    if (this.state.rate > 0 && this.random() < 0.4) this.happen(this.#increment(Date.now()))
  }

  /** An increment that everybody hears of. */
  happen (increment) {
    this.increments.unshift(increment)
    this.send('increment', increment)
  }

  send (event, data) {
    for (const stream of this.#streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  // -- What there is

  #build () {
    const { hostile, many, rate } = this.state
    this.rules = RULES.map(it => ({ mode: 'live', ...it, counts: counts() }))
    if (many) for (let i = 0; i < many; i++) this.rules.push({ mode: 'live', rule: `service-${String(i).padStart(3, '0')}`, match: `GET *.example /service/${i}/*`, key: 'host, path, query', tags: [`Service:${i}`], life: '60s', place: `rules/services.yaml:${i * 3 + 2}`, weight: this.random() * 2, ratio: this.random(), counts: counts() })
    if (hostile) HOSTILE.forEach((name, i) => this.rules.push({ mode: 'live', rule: name, match: name, key: name, tags: [name], life: name, place: `${name}:1`, weight: 1, ratio: 0.1 * i, counts: counts() }))
    this.totals = counts()
    this.latency = { hit: histogram(), miss: histogram(), upstream: histogram() }
    this.tags = [...(hostile ? HOSTILE : []), 'products', ...Array.from({ length: 14 }, (_, i) => `Product:${i * 7 + 3}`), 'User:42', 'Dashboard', 'User:7', 'Org:5']
    this.increments = rate === 0 ? [] : Array.from({ length: 60 }, (_, i) => this.#increment(Date.now() - i * 2300 - 800))
    this.audit = rate === 0 ? [] : this.#audits()
    this.entries = Array.from({ length: this.state.entries }, (_, i) => this.#entry(i))
  }

  #increment (at) {
    const n = 1 + Math.floor(this.random() * 3)
    const tags = Array.from({ length: n }, () => this.tags[Math.floor(this.random() ** 2 * this.tags.length)])
    const by = this.state.hostile ? HOSTILE[Math.floor(this.random() * HOSTILE.length)] : CALLERS[Math.floor(this.random() * CALLERS.length)]
    return { at: time(at), stamp: at * 1000, tags: [...new Set(tags)], by, source: SOURCES[Math.floor(this.random() * SOURCES.length)], soft: this.random() < 0.1 }
  }

  #audits () {
    const of = (ago, who, what, target, effect, status = 200) => ({ id: `${1e13 - ago}-0`, at: time(Date.now() - ago * 1000), who, sidecar: 'web-1 (pid 4711)', what, target, effect, status })
    return [
      of(95, 'deploy', 'purge', { group: 'catalogue' }, { purged: null }),
      of(1380, 'admin', 'reload', {}, { rules: 6, epoch: 3 }),
      of(4000, 'admin', 'reload', {}, { problem: 'rules/shop.yaml:14:9: unknown field `tag`' }, 422),
      of(5200, 'local', 'increment', { tags: ['User:42', 'Dashboard'], soft: true }, { incremented: 2 }),
      of(90_000, 'deploy', 'epoch', { epoch: 3 }, { epoch: 3 }),
      of(91_000, 'deploy', 'purge', { cut: '{"tags":["Product:1","Prod' }, { purged: null }),
      ...(this.state.hostile ? HOSTILE.map((name, i) => of(9e4 + i, name, 'purge', { url: name }, { problem: name }, 422)) : [])
    ]
  }

  #entry (i) {
    const now = Date.now()
    const rule = this.rules[i % 4]
    const hostile = this.state.hostile && i < HOSTILE.length ? HOSTILE[i] : null
    const path = ['/products/', '/products?page=', '/users/', '/dashboard?tab='][i % 4] + i
    const url = hostile ? `https://shop.example/${hostile}` : `https://shop.example${path}`
    const age = (i * 37) % 280
    const stale = i % 23 === 5
    const own = [hostile ?? (i % 4 === 2 ? `User:${i}` : `Product:${i}`), 'products', `Org:${i % 9}`, `Shelf:${i % 31}`]
    return {
      key: hex(0x9e3779b97f4a7c15n * BigInt(i + 1) * 0x1000001n), logical_key: hostile ?? `key_name=${rule.rule}&host=shop.example&path=${encodeURIComponent(path)}`, rule: hostile ?? rule.rule,
      fields: { host: 'shop.example', path }, tags: [...own, '~all', `~rule:${rule.rule}`, `~uri:${url}`].map((tag, n) => ({ tag, version: 1760000000000 + i * 7 + n })),
      status: 200, created: time(now - age * 1000), fresh_until: time(now + (stale ? -20 : 300 - age) * 1000), expires: time(now + (600 - age) * 1000),
      hits: (i * 7919) % 5000, size_bytes: 900 + (i * 104729) % 90_000, tier: i % 5 === 4 && this.state.redis !== null ? 'redis' : 'memory', vary: i % 4 === 3 ? ['accept-language'] : [], state: stale ? 'stale' : 'fresh'
    }
  }

  // -- What happens in a second

  #second (at) {
    const wave = 1 + 0.35 * Math.sin(at / 70_000) + 0.1 * Math.sin(at / 9000)
    const purged = Math.floor(at / 1000) % 150 < 6
    const weights = this.rules.reduce((sum, it) => sum + it.weight, 0)
    for (const rule of this.rules) {
      const n = Math.floor(this.state.rate * wave * rule.weight / weights * (0.85 + this.random() * 0.3) + this.random() * (this.state.rate > 0 ? 1 : 0))
      this.#requests(rule, n, purged)
    }
    return this.#stats(at)
  }

  #requests (rule, n, purged) {
    const ratio = this.state.fenced ? 0 : purged ? rule.ratio * 0.55 : rule.ratio * (0.97 + this.random() * 0.03)
    const bypass = rule.mode === 'bypass' || this.state.fenced ? n : Math.floor(n * 0.01)
    const rest = n - bypass
    const hits = Math.floor(rest * ratio)
    const lost = rest - hits
    const stale = Math.floor(lost * 0.2)
    const collapsed = Math.floor(lost * 0.15)
    const invalidated = Math.floor(lost * (purged ? 0.5 : 0.2))
    const expired = Math.floor(lost * 0.15)
    const miss = lost - stale - collapsed - invalidated - expired
    const outcomes = { hit: hits, stale, collapsed, miss, expired, invalidated, bypass }
    const misses = miss + expired + invalidated
    const reasons = [['no-freshness', 0.06], ['set-cookie', 0.03], ['raced', 0.01]].map(([reason, share]) => [reason, Math.floor(misses * share + (reason === 'no-freshness' ? this.random() : 0))])
    const refused = reasons.reduce((sum, [, m]) => sum + m, 0)
    for (const of of [rule.counts, this.totals]) {
      of.requests += n; of.hits += hits; of.stale += stale; of.misses += misses; of.collapsed += collapsed; of.bypass += bypass
      of.stored += misses - refused; of.loads += misses + bypass; of.load_seconds += (misses + bypass) * (0.02 + rule.ratio * 0.06)
      for (const [word, m] of Object.entries(outcomes)) if (m > 0) of.outcomes[word] = (of.outcomes[word] ?? 0) + m
      for (const [reason, m] of reasons) if (m > 0) of.not_stored[reason] = (of.not_stored[reason] ?? 0) + m
    }
    this.#observe('hit', hits + stale, 0.00018, 0.5)
    this.#observe('miss', misses + collapsed + bypass, 0.042, 0.7)
    this.#observe('upstream', misses + bypass, 0.039, 0.7)
  }

  /** `n` times around `middle`, by a log-normal law of this width. */
  #observe (name, n, middle, width) {
    const it = this.latency[name]
    for (let i = 0; i < Math.min(n, 12); i++) {
      const share = n / Math.min(n, 12)
      const normal = Math.sqrt(-2 * Math.log(this.random() + 1e-9)) * Math.cos(2 * Math.PI * this.random())
      const seconds = middle * Math.exp(normal * width)
      it.count += share
      it.sum_seconds += seconds * share
      for (const bucket of it.buckets) if (seconds <= bucket[0]) bucket[1] += share
    }
  }

  #stats (at) {
    const copy = structuredClone({ totals: this.totals, latency: this.latency })
    const quiet = this.state.rate === 0
    return {
      version: '0.1.0', namespace: this.state.hostile ? HOSTILE[0] : 'shop', sidecar: 'web-1 (pid 4711)', since: time(quiet ? at - 40_000 : START), now: time(at), epoch: 3,
      health: this.state.health ?? { status: 'ok', reasons: [] },
      ...copy, rules: this.rules.map(({ rule, counts }) => ({ rule, ...structuredClone(counts) })),
      memory: { entries: this.entries.length, bytes: this.entries.reduce((sum, it) => sum + it.size_bytes, 0), max_bytes: 256 * 2 ** 20, evictions: quiet ? 0 : 318 },
      ...(this.state.redis === null ? {} : { redis: this.state.redis ?? { connected: true, keys: quiet ? 3 : 5213, used_memory_bytes: quiet ? 1_100_000 : 88_400_000 } }),
      tags: quiet ? 0 : 4127, increments: quiet ? { response: 0 } : { response: 18_214, repeat: 402, 'other-sidecar': 9120, admin: 37 },
      fills_in_flight: quiet ? 0 : 4, upstream_queue: 0, outbox: this.state.outbox ?? 0, fenced: this.state.fenced ?? false, log_lag_seconds: 0.0031
    }
  }

  // -- Calls

  async #answer (request, response) {
    const url = new URL(request.url, this.url)
    const path = decodeURIComponent(url.pathname)
    this.calls.push({ method: request.method, path: url.pathname + url.search, authorization: request.headers.authorization })
    const send = (status, type, body, headers = {}) => response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store', 'Content-Security-Policy': POLICY, ...headers }).end(body)
    const json = (value, status = 200) => send(status, 'application/json', JSON.stringify(value))
    const problem = (status, detail, more = {}) => send(status, 'application/problem+json', JSON.stringify({ title: http.STATUS_CODES[status], status, detail, ...more }))
    if (path === '/' || path.startsWith('/assets/')) {
      const file = path === '/' ? 'index.html' : path.slice('/assets/'.length)
      if (!/^[\w.-]+$/.test(file) || !fs.existsSync(ASSETS + file)) return problem(404, 'There is no such call.')
      return send(200, TYPES[file.split('.').pop()], fs.readFileSync(ASSETS + file))
    }
    if (this.state.token && request.headers.authorization !== `Bearer ${this.state.token}`) return problem(401, 'The admin token is expected, as `Authorization: Bearer <token>`, and was not presented.')
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const body = text ? JSON.parse(text) : undefined
    const refusal = this.problems.get(`${request.method} ${url.pathname}`)
    if (refusal) return problem(...refusal)
    const found = this.#call(request.method, path, url.searchParams, body)
    if (found === undefined) return problem(404, 'There is no such call.')
    if (found === 'events') return this.#stream(response)
    if (request.method !== 'GET') this.record(path, body, found)
    return json(found)
  }

  record (path, body, effect) {
    const record = { id: `${Date.now()}-${this.audit.length}`, at: time(Date.now()), who: this.state.token ? 'admin' : 'local', sidecar: 'web-1 (pid 4711)', what: path.split('/')[2] === 'tags' ? 'increment' : path.split('/')[2], target: body ?? {}, effect, status: 200 }
    this.audit.unshift(record)
    this.send('audit', record)
  }

  #call (method, path, query, body) {
    const [, , noun, id] = path.split('/')
    const rest = path.split('/').slice(3).join('/')
    const calls = {
      'GET stats': () => this.past.at(-1),
      'GET events': () => 'events',
      'GET rules': () => ({ epoch: 3, reload: { at: time(Date.now() - 1380_000), failed: false, mistakes: [], ...this.state.reload }, rules: this.rules.map(({ weight, ratio, ...it }, i) => ({ ...it, entries: i * 31, entries_bytes: i * 92_000 })) }),
      'GET tags': () => rest ? this.#tag(rest) : this.#heavy(),
      'GET increments': () => ({ increments: this.increments.slice(0, Number(query.get('limit') ?? 100)) }),
      'GET audit': () => this.#audited(query),
      'GET entries': () => id ? this.entries.find(it => it.key === id) : this.#list(query),
      'DELETE entries': () => ({ purged: this.entries.some(it => it.key === id) ? (this.entries = this.entries.filter(it => it.key !== id), 1) : 0 }),
      'PATCH entries': () => this.entries.find(it => it.key === id),
      'GET explain': () => this.#explain(query),
      'POST purge': () => ({ purged: body.match ? 12 : null }),
      'POST tags': () => (this.happen({ ...this.#increment(Date.now()), tags: body.tags, by: 'POST /v1/tags/increment (local)', source: 'admin', soft: Boolean(body.soft) }), { incremented: body.tags.length, versions: {}, ignored: [] }),
      'POST refresh': () => body.url ? { refreshed: 1, failed: 0, skipped: 0, cursor: null } : { refreshed: 92, failed: 1, skipped: 7, cursor: body.cursor ? null : 'next' },
      'POST reload': () => ({ rules: 6, epoch: 3 })
    }
    return calls[`${method} ${noun}`]?.()
  }

  #tag (tag) {
    const last = this.increments.find(it => it.tags.includes(tag))
    return { tag, version: last ? last.stamp : null, ...(last ? { incremented: { at: last.at, ago_seconds: (Date.now() - Date.parse(last.at)) / 1000, by: last.by, source: last.source } } : {}) }
  }

  #heavy () {
    if (this.state.rate === 0) return { tags: 0, incremented: [], incremented_own: [], missed: [] }
    const at = i => ({ at: this.increments[i].at, by: this.increments[i].by, source: this.increments[i].source })
    return {
      tags: 4127,
      incremented: this.tags.map((tag, i) => ({ tag, count: Math.floor(4200 / (i + 1)), last: at(i % 40) })),
      incremented_own: ['~uri:https://shop.example/orders', '~rule:product'].map((tag, i) => ({ tag, count: 2 - i, last: at(i) })),
      missed: this.tags.map((tag, i) => ({ tag, count: Math.floor(91_000 / (i + 1) ** 1.3) })).toReversed().toSorted((a, b) => b.count - a.count)
    }
  }

  #audited (query) {
    const from = Number(query.get('cursor') ?? 0)
    const end = from + Number(query.get('limit') ?? 100)
    return { audit: this.audit.slice(from, end), cursor: end < this.audit.length ? String(end) : null }
  }

  #list (query) {
    const from = Number(query.get('cursor') ?? 0)
    const limit = Number(query.get('limit') ?? 100)
    const glob = query.get('match') && new RegExp(`^${query.get('match').replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`)
    const all = this.entries.filter(it => (!query.get('rule') || it.rule === query.get('rule')) && (!query.get('tag') || it.tags.some(({ tag }) => tag === query.get('tag'))) &&
      (!query.get('tier') || it.tier === query.get('tier')) && (!glob || glob.test(it.logical_key)))
    return { entries: all.slice(from, from + limit), cursor: from + limit < all.length ? String(from + limit) : null }
  }

  #explain (query) {
    const url = query.get('url')
    const entry = this.entries.find(it => it.tags.some(({ tag }) => tag === `~uri:${url}`)) ?? this.entries[0]
    const by = this.state.hostile ? HOSTILE[0] : 'POST /users/42'
    const cause = { at: time(Date.now() - 3000), ago_seconds: 3, by, source: 'response' }
    const gone = url.endsWith('/users/42')
    const names = entry.tags.map(it => it.tag)
    return {
      plan: { rule: 'user-profile', plan: 'lookup', fields: [{ name: 'namespace', value: 'shop' }, { name: 'host', value: 'shop.example' }, { name: 'capture.id', value: '42' }, { name: 'token.sub', value: null }], logical_key: entry.logical_key, base_key: entry.key, tags: names, increments: [] },
      answer: gone ? { outcome: 'invalidated', why: `${names[0]} incremented 3s ago by ${by}.` } : { outcome: 'hit', why: 'It is stored here, and fresh.' },
      stored: { ...entry, ...(gone ? { state: 'invalidated', invalidated: { tag: names[0], ...cause } } : {}) },
      tags: entry.tags.map(({ tag, version }, i) => ({ tag, version: gone && i === 0 ? version + 812 : version, ...(i === 0 ? { incremented: cause } : {}) }))
    }
  }

  #stream (response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    // More than a new page of the real one gets: the charts are full at once.
    for (const stats of this.past) response.write(`event: stats\ndata: ${JSON.stringify(stats)}\n\n`)
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , state, port] = process.argv
  const mock = await new Mock(state).start(Number(port ?? 9080))
  console.log(`The dashboard, ${state ?? 'healthy'}: ${mock.url}`)
}
