// What is stored, by rule, tag, pattern or place, a page at a time.

import { ago, bytes, count, isImplicit, NONE, plural, span } from './format.js'
import { $, announce, chip, empty, h, keyed, name, problem, say, table } from './dom.js'
import { state } from './states.js'

const PAGE = 100
const TAGS = 2
const COLUMNS = [
  { title: 'Logical key' }, { title: 'Rule' }, { title: 'Tags' }, { title: 'State' }, { title: 'Stored' },
  { title: 'Fresh for', classes: 'n' }, { title: 'Hits', classes: 'n' }, { title: 'Size', classes: 'n' }, { title: 'Kept in' }
]

export class Entries {
  #api
  #show
  #body
  #listed = []
  #filter = {}
  #cursor = null
  #asked = 0

  /** @param show tells all about one entry */
  constructor (api, show) {
    this.#api = api
    this.#show = show
    this.#body = table($('entries-table'), 'Entries that were asked for', COLUMNS)
    this.#body.append(empty(COLUMNS.length, 'Choose what to list; without a choice, everything.'))
    $('entries-form').addEventListener('submit', event => {
      event.preventDefault()
      void this.list()
    })
    $('entries-more').addEventListener('click', () => void this.#page(this.#cursor))
  }

  /** Lists what a rule has stored. */
  rule (rule) {
    const form = $('entries-form')
    form.reset()
    form.elements.rule.value = rule
    $('entries').scrollIntoView()
    $('entries-more').focus({ preventScroll: true })
    void this.list()
  }

  /** From the start, with what the form says. */
  async list () {
    this.#filter = Object.fromEntries([...new FormData($('entries-form'))].map(([field, value]) => [field, value.trim()]))
    this.#listed = []
    await this.#page(null)
  }

  /** Again, if something was listed: entries may have gone. */
  async again () {
    if (this.#listed.length > 0) await this.list()
  }

  async #page (cursor) {
    const turn = ++this.#asked
    say($('entries-status'), 'Asking…')
    try {
      const found = await this.#api.get('/v1/entries', { ...this.#filter, limit: PAGE, cursor })
      if (turn !== this.#asked) return
      this.#listed = cursor === null ? found.entries : [...this.#listed, ...found.entries]
      this.#cursor = found.cursor
      this.#draw()
    } catch (error) {
      if (turn === this.#asked) $('entries-status').replaceChildren(problem(error))
    }
  }

  #draw () {
    const now = Date.now()
    keyed(this.#body, this.#listed.map(it => ({ ...it, now })), it => `${it.tier} ${it.key}`, it => new Row(it, this.#show))
    const more = this.#cursor !== null && this.#cursor !== undefined
    $('entries-more').hidden = !more
    if (this.#listed.length === 0 && !more) this.#body.append(empty(COLUMNS.length, 'Nothing like that is stored.'))
    const said = `${plural(this.#listed.length, 'entry', 'entries')}${more ? ', and there are more' : ''}`
    say($('entries-status'), more ? said : `${said}: that is all.`)
    announce(said)
  }
}

class Row {
  #head

  constructor (it, show) {
    this.#head = h('th', { scope: 'row' }, h('button', { class: 'open plain', onclick: () => show(it) }, name(it.logical_key)))
    this.node = h('tr', { 'data-key': it.key }, this.#head)
  }

  update (it) {
    const left = (Date.parse(it.fresh_until) - it.now) / 1000
    while (this.node.lastChild !== this.#head) this.node.lastChild.remove()
    this.node.append(
      h('td', {}, it.rule === '' ? h('span', { class: 'muted' }, 'none') : name(it.rule)),
      h('td', {}, tags(it.tags)),
      h('td', {}, state(it.state)),
      h('td', { class: 'nowrap', title: it.created }, ago(it.created, it.now)),
      h('td', { class: 'n' }, left > 0 ? span(left, 1) : NONE),
      h('td', { class: 'n' }, count(it.hits)),
      h('td', { class: 'n' }, bytes(it.size_bytes)),
      h('td', {}, it.tier))
  }
}

/** The first tags that the app or a rule gave; those that every entry has say little here. */
function tags (all) {
  const named = all.filter(({ tag }) => !isImplicit(tag))
  const hidden = named.length - TAGS
  return h('span', { class: 'chips one' }, named.slice(0, TAGS).map(({ tag }) => chip(tag, 'tag')), hidden > 0 && chip(`+${hidden}`))
}
