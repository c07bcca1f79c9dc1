// What is so now: the header, the notices below it, the tiles, and the store.

import { ago, bytes, count, cut, latency, NONE, percent, plural, rate, shown, short, span, time } from './format.js'
import { $, chip, facts, h, say } from './dom.js'
import { hitRatio, quantile } from './series.js'

/** Over how many seconds a tile looks back. */
const RECENT = 60

const HEALTH = {
  ok: ['good', 'Healthy'],
  degraded: ['warn', 'Degraded'],
  starting: ['warn', 'Starting'],
  draining: ['warn', 'Draining']
}

const SOURCES = {
  response: 'by the app',
  repeat: 'repeated',
  'other-sidecar': 'by other sidecars',
  admin: 'by operators'
}

export class Overview {
  #history
  #health = null

  constructor (history) {
    this.#history = history
  }

  show (stats) {
    this.#header(stats)
    this.#tiles(stats)
    this.#store(stats)
  }

  #header (stats) {
    say($('namespace'), shown(stats.namespace))
    say($('version'), shown(stats.version))
    say($('epoch'), count(stats.epoch))
    say($('sidecar'), shown(stats.sidecar))
    const { status, reasons } = stats.health
    const [kind, word] = HEALTH[status] ?? ['warn', shown(status)]
    pill($('health'), kind, reasons.length > 0 ? `${word}: ${plural(reasons.length, 'reason')}` : word)
    document.title = `${kind === 'good' ? '' : `${word} · `}${cut(stats.namespace, 30)} · Tagalong`
    this.#reasons(status, reasons)
  }

  #reasons (status, reasons) {
    const said = JSON.stringify([status, reasons])
    if (said === this.#health) return
    this.#health = said
    $('notices').replaceChildren(...reasons.map(({ code, message }) => h('p', { class: 'notice warn' },
      chip(code), h('span', {}, shown(message)), code === 'rules-not-reloaded' && h('a', { href: '#files' }, 'What is wrong'))))
  }

  #tiles (stats) {
    const recent = this.#history.last(RECENT)
    const { totals, latency: all, memory } = stats
    tile('ratio', percent(recent && hitRatio(recent.counts)), `${percent(hitRatio(totals))} since start`)
    tile('rate', recent ? `${rate(recent.counts.requests / recent.seconds)}/s` : NONE, `${count(totals.requests)} since start`)
    for (const [id, of, q] of [['hit50', 'hit', 0.5], ['hit99', 'hit', 0.99], ['miss99', 'miss', 0.99]]) {
      tile(id, latency(recent && quantile(recent.latency[of], q)), `${latency(quantile(all[of], q))} since start`)
    }
    tile('entries', short(memory.entries), `${short(memory.evictions)} evicted`)
    tile('bytes', bytes(memory.bytes), `${percent(memory.bytes / memory.max_bytes)} of ${bytes(memory.max_bytes)}`)
    const [word, kind] = together(stats)
    const lag = stats.redis ? `, lag ${latency(stats.log_lag_seconds)}` : ''
    tile('shared', word, stats.redis || stats.outbox > 0 ? `outbox ${count(stats.outbox)}${lag}` : 'this sidecar is alone', kind)
  }

  #store (stats) {
    const { memory, redis, increments } = stats
    const sources = Object.entries(increments).filter(([, n]) => n > 0)
    $('store-facts').replaceChildren(facts([
      ['Memory', h('span', {}, `${bytes(memory.bytes)} of ${bytes(memory.max_bytes)}`, bar(memory.bytes / memory.max_bytes))],
      ['Records there', `${count(memory.entries)}, with what is over and notes of what varies or is not stored; ${count(memory.evictions)} evicted`],
      ['Shared store', redis ? shared(redis) : 'none: this sidecar is alone'],
      ['Keys there', redis?.keys !== undefined && `${count(redis.keys)}, ${bytes(redis.used_memory_bytes)} used`],
      ['Fenced', stats.fenced ? h('span', {}, chip('yes', 'bad'), ' nothing stored is served') : 'no'],
      ['Outbox', stats.outbox > 0 ? chip(`${plural(stats.outbox, 'increment')} wait`, 'bad') : 'empty'],
      ['Log lag', redis && latency(stats.log_lag_seconds)],
      ['Tags', count(stats.tags)],
      ['Increments', sources.length === 0 ? 'none yet' : sources.map(([source, n]) => `${count(n)} ${SOURCES[source] ?? shown(source)}`).join(', ')],
      ['Fills', `${count(stats.fills_in_flight)} in flight, ${count(stats.upstream_queue)} queued`],
      ['Up since', `${time(stats.since, Date.parse(stats.now))} (${span((Date.parse(stats.now) - Date.parse(stats.since)) / 1000)})`]
    ]))
  }
}

/** How the page is connected: `{state, since, again, why}`. */
export function connection ({ state, since, again, why }) {
  const element = $('connection')
  document.documentElement.dataset.connection = state
  if (state === 'live') pill(element, 'good', 'Live')
  else if (state === 'polling') pill(element, 'warn', 'Every few seconds')
  else pill(element, 'bad', `Disconnected since ${time(since, Date.now())}`)
  element.title = state === 'live' ? '' : `${why} Next try in ${span(again / 1000)}.`
}

function pill (element, kind, text) {
  for (const one of ['good', 'warn', 'bad']) element.classList.toggle(one, one === kind)
  say(element.lastElementChild, text)
}

function tile (id, big, sub, kind = '') {
  const place = document.querySelector(`[data-tile=${id}]`)
  say(place, big)
  say(document.querySelector(`[data-tile=${id}-sub]`), sub)
  place.parentElement.classList.toggle('bad', kind === 'bad')
}

/** How it is with what sidecars share, the worst first. */
function together ({ fenced, outbox, redis }) {
  if (fenced) return ['Fenced', 'bad']
  if (outbox > 0) return [`${short(outbox)} wait`, 'bad']
  if (!redis) return ['None', '']
  return redis.connected ? ['In step', ''] : ['Away', 'bad']
}

function shared (redis) {
  return redis.connected ? chip('connected', 'good') : chip('away', 'bad')
}

/** A share as a bar; the number is beside it. */
export function bar (share) {
  const fill = h('i')
  fill.style.width = `${Math.min(100, Math.max(0, (share || 0) * 100))}%`
  return h('span', { class: 'share', 'aria-hidden': 'true' }, fill)
}

/** Why a tag has the version it has, in words. */
export function because (cause, now) {
  const by = cause.by ? ` by ${cut(cause.by)}` : ''
  return `incremented ${ago(cause.at, now)}${by}`
}
