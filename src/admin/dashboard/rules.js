// The rules in force with what became of their requests, and what is wrong with their files.

import { ago, bytes, count, cut, date, latency, percent, plural, shown } from './format.js'
import { $, chip, empty, facts, h, keyed, mistakes, name, say, table } from './dom.js'
import { hitRatio, OUTCOMES } from './series.js'
import { bar } from './overview.js'

/** More are shown when they are asked for. */
const SHOWN = 50
/** Rows change places at most this often, in milliseconds, and not under somebody's hand. */
const SETTLED = 4000

const unmatched = 'no rule'
const notStored = counts => Object.values(counts.not_stored).reduce((sum, n) => sum + n, 0)
const load = counts => counts.loads > 0 ? counts.load_seconds / counts.loads : null

const COLUMNS = [
  { id: 'rule', title: 'Rule', order: (a, b) => a.rule.localeCompare(b.rule) },
  { id: 'requests', title: 'Requests', of: it => it.counts.requests },
  { id: 'ratio', title: 'Hit ratio', of: it => hitRatio(it.counts) },
  { id: 'hits', title: 'Hits', of: it => it.counts.hits },
  { id: 'stale', title: 'Stale', of: it => it.counts.stale },
  { id: 'misses', title: 'Misses', of: it => it.counts.misses },
  { id: 'collapsed', title: 'Collapsed', of: it => it.counts.collapsed },
  { id: 'bypass', title: 'Bypass', of: it => it.counts.bypass },
  { id: 'not-stored', title: 'Not stored', of: it => notStored(it.counts) },
  { id: 'load', title: 'Load', of: it => load(it.counts), label: 'Mean time the app takes to answer' },
  { id: 'entries', title: 'Entries', of: it => it.entries ?? null }
]
const NUMBERS = { ratio: percent, load: latency }

export class Rules {
  #actions
  #list
  #rules = []
  #counts = new Map()
  #sort = { column: COLUMNS[1], down: true }
  #order = []
  #ordered = 0
  #all = false
  #open = new Set()

  /** @param list shows the entries of a rule */
  constructor (actions, list) {
    this.#actions = actions
    this.#list = list
    this.#head()
    $('rules-filter').addEventListener('input', () => this.#draw(true))
  }

  /** An answer of `/v1/rules`. */
  known ({ rules, reload }, now) {
    this.#rules = rules
    for (const it of rules) this.#counts.set(it.rule, it.counts)
    this.#files(reload, now)
    this.#choices()
    this.#draw(true)
  }

  /** The newest numbers, of an answer of `/v1/stats`. */
  count (stats) {
    this.#counts = new Map(stats.rules.map(({ rule, ...counts }) => [rule, counts]))
    this.#draw(false)
  }

  #head () {
    const element = $('rules-table')
    const body = table(element, 'Rules, their requests since the start, and what became of them', COLUMNS.map(column => {
      const button = h('button', { class: 'sort', title: column.label, onclick: () => this.#sortBy(column) }, column.title)
      column.button = button
      return { title: button, classes: column.of ? 'n' : '' }
    }))
    this.body = body
    this.#mark()
  }

  #sortBy (column) {
    const same = this.#sort.column === column
    this.#sort = { column, down: same ? !this.#sort.down : Boolean(column.of) }
    this.#mark()
    this.#draw(true)
  }

  #mark () {
    for (const column of COLUMNS) {
      const sorted = column === this.#sort.column ? (this.#sort.down ? 'descending' : 'ascending') : 'none'
      column.button.parentElement.setAttribute('aria-sort', sorted)
    }
  }

  #draw (settle) {
    const wanted = $('rules-filter').value.trim().toLowerCase()
    const rows = this.#rules
      .map(rule => ({ ...rule, counts: this.#counts.get(rule.rule) ?? rule.counts }))
      .filter(({ rule, match }) => `${rule || unmatched} ${match}`.toLowerCase().includes(wanted))
    const sorted = this.#settled(rows, settle)
    const visible = this.#all ? sorted : sorted.slice(0, SHOWN)
    keyed(this.body, visible, it => it.rule, it => new Row(it, this))
    if (visible.length === 0) this.body.append(empty(COLUMNS.length, this.#rules.length > 0 ? 'No rule like that.' : 'No rules.'))
    const named = this.#rules.filter(it => it.rule !== '').length
    say($('rules-count'), plural(named, 'rule'))
    this.#foot(sorted.length)
  }

  #foot (n) {
    const foot = $('rules-foot')
    foot.hidden = n <= SHOWN
    const text = this.#all ? `Show the first ${SHOWN}` : `Show all ${count(n)}`
    if (foot.textContent === text) return
    foot.replaceChildren(h('button', { onclick: () => { this.#all = !this.#all; this.#draw(true) } }, text))
  }

  /** In order, but not in a new one each second. */
  #settled (rows, settle) {
    const now = performance.now()
    const busy = this.body.matches(':hover') || this.body.contains(document.activeElement)
    if (settle || (now - this.#ordered > SETTLED && !busy)) {
      this.#ordered = now
      this.#order = rows.toSorted((a, b) => this.#compare(a, b)).map(it => it.rule)
    }
    const places = new Map(this.#order.map((rule, i) => [rule, i]))
    return rows.toSorted((a, b) => (places.get(a.rule) ?? Infinity) - (places.get(b.rule) ?? Infinity))
  }

  #compare (a, b) {
    const { column, down } = this.#sort
    if (!column.of) return down ? column.order(b, a) : column.order(a, b)
    const [x, y] = [column.of(a) ?? -1, column.of(b) ?? -1]
    return (down ? y - x : x - y) || a.rule.localeCompare(b.rule)
  }

  #choices () {
    const select = document.querySelector('#entries-form [name=rule]')
    const wanted = ['', ...this.#rules.map(it => it.rule).filter(Boolean)]
    if (wanted.join('\n') === [...select.options].map(it => it.value).join('\n')) return
    const chosen = select.value
    select.replaceChildren(...wanted.map(it => h('option', { value: it }, it === '' ? 'Any' : cut(it, 60))))
    select.value = wanted.includes(chosen) ? chosen : ''
  }

  #files (reload, now) {
    const place = $('files-state')
    if (!reload) {
      place.replaceChildren(h('p', { class: 'muted' }, 'This sidecar was started without files: there is nothing to reload.'))
      return
    }
    place.replaceChildren(facts([
      ['Last read', h('span', { title: date(reload.at) }, ago(reload.at, now))],
      ['Result', reload.failed ? h('span', {}, chip('wrong', 'bad'), ' the rules from before stay in force') : chip('in force', 'good')]
    ]), reload.failed ? mistakes(reload.mistakes) : '')
  }

  isOpen (rule) {
    return this.#open.has(rule)
  }

  toggle (rule) {
    if (!this.#open.delete(rule)) this.#open.add(rule)
    this.#draw(false)
  }

  details (it) {
    const reasons = Object.entries(it.counts.not_stored).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a)
    const words = OUTCOMES.flatMap(({ words }) => words).filter(word => it.counts.outcomes[word] > 0)
    return [
      facts([
        ['Matches', it.match && name(it.match)],
        ['Key', it.key && name(it.key)],
        ['Tags', it.tags.length > 0 && h('span', { class: 'chips' }, it.tags.map(tag => chip(tag, 'tag')))],
        ['Life', it.life && shown(it.life)],
        ['Written in', it.place && name(it.place)]
      ]),
      facts([
        ['Outcomes', words.length > 0 && words.map(word => `${count(it.counts.outcomes[word])} ${word}`).join(', ')],
        ['Stored', count(it.counts.stored)],
        ['Not stored', reasons.length === 0 ? 'none' : reasons.map(([reason, n]) => `${count(n)} ${shown(reason)}`).join(', ')],
        ['Load', it.counts.loads > 0 && `${latency(load(it.counts))} mean of ${count(it.counts.loads)}, ${latency(it.counts.load_seconds)} in all`],
        ['Size', it.entries_bytes !== undefined && bytes(it.entries_bytes)]
      ])
    ]
  }

  buttons ({ rule }) {
    return rule !== '' && h('p', { class: 'buttons' },
      h('button', { onclick: () => this.#list(rule) }, 'List its entries'),
      h('button', { class: 'danger', onclick: () => this.#actions.purge({ rule }) }, 'Purge this rule…'))
  }
}

/** A rule, and what more there is to say of it once it is opened. */
class Row {
  #rules
  #cells
  #bar
  #shown = ''
  #it

  constructor (it, rules) {
    this.#rules = rules
    this.#it = it
    this.toggle = h('button', { class: 'open', 'aria-expanded': 'false', onclick: () => rules.toggle(it.rule) },
      it.rule === '' ? h('span', { class: 'muted' }, unmatched) : name(it.rule))
    this.mode = h('span')
    this.#bar = h('i')
    this.#cells = Object.fromEntries(COLUMNS.slice(1).map(({ id }) => [id, h('span')]))
    this.more = h('div', { class: 'details' })
    this.line = h('tr', {}, h('th', { scope: 'row' }, this.toggle, this.mode),
      COLUMNS.slice(1).map(({ id }) => h('td', { class: 'n', 'data-column': id },
        this.#cells[id], id === 'ratio' && h('span', { class: 'share', 'aria-hidden': 'true' }, this.#bar))))
    this.line.dataset.rule = it.rule
    this.second = h('tr', { class: 'more' }, h('td', { colspan: COLUMNS.length }, this.more, rules.buttons(it)))
  }

  get nodes () {
    return this.#rules.isOpen(this.#it.rule) ? [this.line, this.second] : [this.line]
  }

  update (it) {
    this.#it = it
    for (const { id, of } of COLUMNS.slice(1)) say(this.#cells[id], (NUMBERS[id] ?? count)(of(it)))
    this.#bar.style.width = `${(hitRatio(it.counts) ?? 0) * 100}%`
    this.mode.replaceChildren(it.mode === 'live' ? '' : chip(it.mode, 'warn'))
    this.#details()
  }

  #details () {
    const open = this.#rules.isOpen(this.#it.rule)
    this.toggle.setAttribute('aria-expanded', String(open))
    const said = open ? JSON.stringify(this.#it) : ''
    if (said === this.#shown) return
    this.#shown = said
    if (open) this.more.replaceChildren(...this.#rules.details(this.#it))
  }
}
