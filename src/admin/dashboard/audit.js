// Who changed what through the admin interface, newest first.

import { plural, shown, time } from './format.js'
import { $, chip, empty, h, keyed, name, problem, say, table } from './dom.js'

const PAGE = 50
const COLUMNS = [{ title: 'Time' }, { title: 'Who' }, { title: 'What' }, { title: 'Target' }, { title: 'Effect' }, { title: 'Status', classes: 'n' }]

export class Audit {
  #api
  #body
  #records = []
  #cursor = null

  constructor (api) {
    this.#api = api
    this.#body = table($('audit-table'), 'Calls that changed something, or were to', COLUMNS)
    this.#body.append(empty(COLUMNS.length, 'Nothing yet.'))
    $('audit-more').addEventListener('click', () => void this.load(this.#cursor))
  }

  /** A page of records: the newest, or those after `cursor`. */
  async load (cursor = null) {
    try {
      const found = await this.#api.get('/v1/audit', { limit: PAGE, cursor })
      this.#records = cursor === null ? found.audit : [...this.#records, ...found.audit]
      this.#cursor = found.cursor ?? null
      this.#draw()
    } catch (error) {
      $('audit-status').replaceChildren(problem(error))
    }
  }

  push (record) {
    this.#records.unshift(record)
    this.#draw()
  }

  #draw () {
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

/** `{url: "…", soft: true}` as `url …, soft`. */
function words (object) {
  return Object.entries(object ?? {}).filter(([, value]) => value !== false && value !== null)
    .map(([key, value]) => value === true ? key : `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(', ')
}
