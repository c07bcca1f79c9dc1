// Increments as they happen, with who caused them.

import { count, isImplicit, plural, shown, time } from './format.js'
import { $, chip, empty, h, name, say, table } from './dom.js'

/** So many are kept; the sidecar keeps more (`/v1/increments`). */
const KEPT = 300
/** So many tags of one increment are shown. */
const TAGS = 8
const SOURCES = ['response', 'repeat', 'other-sidecar', 'admin']
const COLUMNS = [{ title: 'Time' }, { title: 'Tags' }, { title: 'By' }, { title: 'Source' }]

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

  /** What the sidecar remembers, newest first. */
  known ({ increments }) {
    this.#events = increments.slice(0, KEPT)
    this.#fresh = []
    this.#redraw()
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
      const added = this.#fresh
      this.#fresh = []
      this.#events = [...added, ...this.#events].slice(0, KEPT)
      const rows = added.filter(it => this.#wanted(it)).map(it => this.#row(it, 'new'))
      if (rows.length > 0) this.#body.querySelector('.empty')?.remove()
      this.#body.prepend(...rows)
      while (this.#body.rows.length > KEPT) this.#body.lastElementChild.remove()
    }
    this.#tell()
  }

  #redraw () {
    const rows = this.#events.filter(it => this.#wanted(it)).map(it => this.#row(it))
    this.#body.replaceChildren(...rows)
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
