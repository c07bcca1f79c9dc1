// Increments as they happen, with who caused them.

import { count, instant, isImplicit, plural, shown, time } from './format.js'
import { $, chip, empty, h, keyed, name, say, table } from './dom.js'

/** So many are kept; the sidecar keeps more (`/v1/increments`). */
const KEPT = 300
/** So many tags of one increment are shown. */
const TAGS = 8
const SOURCES = ['response', 'repeat', 'other-sidecar', 'admin']
const COLUMNS = [{ title: 'Time' }, { title: 'Tags' }, { title: 'By' }, { title: 'Source' }]

/** What an increment is known by before the shared store has given it its stamp. */
const named = ({ at, by, tags }) => JSON.stringify([at, by, tags])
const key = it => `${it.stamp ?? ''} ${named(it)}`

/** Two lists as one, newest first. What is in both is there once, with its stamp if one of them has it. */
export function merged (some, others) {
  const all = new Map([...others, ...some].map(it => [key(it), it]))
  const stamped = new Set([...all.values()].filter(it => it.stamp !== undefined).map(named))
  const once = [...new Set([...some, ...others].map(key))].map(it => all.get(it))
  return once.filter(it => it.stamp !== undefined || !stamped.has(named(it))).sort((a, b) => instant(b.at) - instant(a.at))
}

export class Feed {
  #events = []
  #fresh = []
  #missed = 0
  #paused = false
  #body
  #show
  #drawing = false

  /** @param show tells all about one tag */
  constructor (show) {
    this.#show = show
    this.#body = table($('feed-table'), 'The newest increments first', COLUMNS)
    $('feed-source').append(...SOURCES.map(it => h('option', {}, it)))
    $('feed-filter').addEventListener('input', () => this.#redraw())
    $('feed-source').addEventListener('change', () => this.#redraw())
    $('feed-pause').addEventListener('click', () => this.#pause())
    this.#redraw()
  }

  /** What the sidecar remembers, newest first; what came while it was asked stays. */
  known ({ increments }) {
    if (this.#paused) {
      const there = new Set(this.#events.map(key))
      this.#fresh = merged(increments, this.#fresh).filter(it => !there.has(key(it))).slice(0, KEPT)
      this.#tell()
    } else {
      this.#events = merged(increments, [...this.#fresh, ...this.#events]).slice(0, KEPT)
      this.#fresh = []
      this.#redraw()
    }
  }

  push (increment) {
    this.#fresh.unshift(increment)
    this.#fresh.length = Math.min(this.#fresh.length, KEPT)
    if (this.#drawing) return
    this.#drawing = true
    requestAnimationFrame(() => {
      this.#drawing = false
      this.#draw()
    })
  }

  /** So many events were left out, because this page was too slow. */
  lagged (n) {
    this.#missed += n
    this.#tell()
  }

  #pause () {
    this.#paused = !this.#paused
    $('feed-pause').setAttribute('aria-pressed', String(this.#paused))
    say($('feed-pause'), this.#paused ? 'Resume' : 'Pause')
    this.#draw()
  }

  #draw () {
    if (!this.#paused && this.#fresh.length > 0) {
      this.#events = merged(this.#fresh, this.#events).slice(0, KEPT)
      this.#fresh = []
      this.#redraw('new')
    }
    this.#tell()
  }

  /** Shows what is wanted of all events; rows that were not there before are of these classes. */
  #redraw (classes) {
    const rows = this.#events.filter(it => this.#wanted(it))
    keyed(this.#body, rows, key, it => ({ node: this.#row(it, classes) }))
    if (rows.length === 0) this.#body.append(empty(COLUMNS.length, this.#events.length > 0 ? 'None like that.' : 'No increment yet.'))
    this.#tell()
  }

  #tell () {
    const waiting = this.#fresh.length >= KEPT ? `${count(KEPT)} or more` : count(this.#fresh.length)
    const text = this.#paused ? `paused, ${waiting} new` : 'live'
    say($('feed-count'), this.#missed > 0 ? `${text}; ${plural(this.#missed, 'event')} left out` : text)
  }

  #wanted ({ tags, by, source }) {
    const text = $('feed-filter').value.trim().toLowerCase()
    const chosen = $('feed-source').value
    return (chosen === '' || source === chosen) && [by ?? '', ...tags].some(it => it.toLowerCase().includes(text))
  }

  #row ({ at, tags, more = 0, by, source, soft }, classes = '') {
    const hidden = more + Math.max(0, tags.length - TAGS)
    const sorted = tags.toSorted((a, b) => isImplicit(a) - isImplicit(b))
    return h('tr', { class: classes },
      h('td', { class: 'mono nowrap', title: at }, time(at, Date.now())),
      h('td', {}, h('span', { class: 'chips' },
        sorted.slice(0, TAGS).map(tag => h('button', { class: `chip tag ${isImplicit(tag) ? 'muted' : ''}`, title: shown(tag), onclick: () => this.#show(tag) }, shown(tag))),
        hidden > 0 && chip(`+${count(hidden)}`),
        soft && chip('soft'))),
      h('td', {}, name(by ?? '')),
      h('td', {}, chip(source, `src-${SOURCES.includes(source) ? source : 'other'}`)))
  }
}
