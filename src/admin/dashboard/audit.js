// Who changed what through the admin interface, newest first.

import { instant, plural, shown, time } from './format.js'
import { $, chip, empty, h, keyed, name, problem, say, table } from './dom.js'

const PAGE = 50
/** So many are shown, unless older ones were asked for. */
const KEPT = 200
const COLUMNS = [{ title: 'Time' }, { title: 'Who' }, { title: 'What' }, { title: 'Target' }, { title: 'Effect' }, { title: 'Status', classes: 'n' }]

/** A page of the newest records, and the records that were known before it was asked for or came meanwhile. */
export function merged (page, known) {
  const there = new Set(page.map(it => it.id))
  return [...page, ...known.filter(it => !there.has(it.id))].sort((a, b) => instant(b.at) - instant(a.at))
}

export class Audit {
  #api
  #body
  #records = []
  /** Where the records after those shown are; undefined where that is not known. */
  #cursor = null
  /** Whether older ones than the newest were asked for. */
  #all = false

  constructor (api) {
    this.#api = api
    this.#body = table($('audit-table'), 'Calls that changed something, or were to', COLUMNS)
    this.#body.append(empty(COLUMNS.length, 'Nothing yet.'))
    $('audit-more').addEventListener('click', () => void this.#older())
  }

  /** The newest records, in addition to those that are shown; in place of them, if others may lie in between. */
  async load () {
    const before = new Set(this.#records.map(it => it.id))
    const found = await this.#page({ limit: PAGE })
    if (!found) return
    const joined = found.audit.some(it => before.has(it.id))
    this.#records = merged(found.audit, this.#records.filter(it => joined || !before.has(it.id)))
    if (!joined) {
      this.#cursor = found.cursor ?? null
      this.#all = false
    }
    this.#draw()
  }

  /** A page more. Where the list was cut it is read anew first, so that nothing is missing in between. */
  async #older () {
    this.#all = true
    const found = await this.#page(this.#cursor === undefined ? { limit: KEPT + PAGE } : { limit: PAGE, cursor: this.#cursor })
    if (!found) return
    this.#records = merged(this.#records, found.audit)
    this.#cursor = found.cursor ?? null
    this.#draw()
  }

  async #page (query) {
    try {
      return await this.#api.get('/v1/audit', query)
    } catch (error) {
      $('audit-status').replaceChildren(problem(error))
      return null
    }
  }

  push (record) {
    this.#records = merged([record], this.#records)
    this.#draw()
  }

  #draw () {
    if (!this.#all && this.#records.length > KEPT) {
      this.#records.length = KEPT
      this.#cursor = undefined
    }
    keyed(this.#body, this.#records, it => it.id, it => ({ node: row(it) }))
    if (this.#records.length === 0) this.#body.append(empty(COLUMNS.length, 'Nothing yet.'))
    $('audit-more').hidden = this.#cursor === null
    say($('audit-status'), this.#records.length > 0 ? plural(this.#records.length, 'record') : '')
  }
}

function row ({ at, who, sidecar, what, target, effect, status }) {
  return h('tr', {},
    h('td', { class: 'mono nowrap', title: at }, time(at, Date.now())),
    h('td', { title: shown(sidecar ?? '') }, name(who)),
    h('td', { class: 'nowrap' }, what),
    h('td', {}, name(words(target))),
    h('td', {}, name(effect?.problem ?? words(effect))),
    h('td', { class: 'n' }, chip(status, status < 400 ? 'good' : 'bad')))
}

/** `{url: "…", soft: true}` as `url …, soft`; of what was too long to be kept its beginning. */
function words (object) {
  if (object?.cut !== undefined) return `${object.cut} … (too long: the rest is not kept)`
  return Object.entries(object ?? {}).filter(([, value]) => value !== false && value !== null)
    .map(([key, value]) => value === true ? key : `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(', ')
}
