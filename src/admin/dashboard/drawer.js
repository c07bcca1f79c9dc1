// The "why" panel: all that is known of one entry or of one tag.

import { cut, isImplicit } from './format.js'
import { $, h, name, problem } from './dom.js'
import { entryFacts, state, tagTable, urlOf } from './states.js'

/** The states of so many tags of an entry are asked for, so many at a time. */
const TAGS = 32
const AT_ONCE = 4

export class Drawer {
  #api
  #actions
  #asked = 0
  #last = null

  constructor (api, actions) {
    this.#api = api
    this.#actions = actions
    $('drawer').addEventListener('click', event => { if (event.target === $('drawer')) $('drawer').close() })
  }

  /** All about an entry of a list. */
  async entry (entry) {
    await this.#open('Entry', name(entry.logical_key, 'whole'), async () => {
      const now = await this.#api.get(`/v1/entries/${encodeURIComponent(entry.key)}`)
      const url = urlOf(now.tags)
      const versions = new Map(now.tags.map(it => [it.tag, it.version]))
      const why = url && await this.#api.get('/v1/explain', { method: 'GET', url })
      const tags = await this.#states(now.tags.map(it => it.tag), why?.tags ?? [])
      return [
        why && this.#answer(why, now),
        entryFacts(now, Date.now()),
        h('h3', {}, 'Tags'),
        tagTable(tags, Date.now(), versions, tag => this.#actions.increment({ tags: [tag] })),
        h('p', { class: 'buttons' },
          url && h('button', { onclick: () => this.#actions.refresh({ url }) }, 'Refresh…'),
          h('button', { onclick: () => this.#actions.life(now) }, 'Another life…'),
          url && h('button', { class: 'danger', onclick: () => this.#actions.purge({ url }) }, 'Purge URL…'),
          h('button', { class: 'danger', onclick: () => this.#actions.remove(now) }, 'Delete entry…'))
      ]
    })
  }

  /** All about a tag. */
  async tag (tag) {
    await this.#open('Tag', name(tag, 'whole'), async () => {
      const [known, { entries, cursor }] = await Promise.all([
        this.#api.get(`/v1/tags/${encodeURIComponent(tag)}`), this.#api.get('/v1/entries', { tag, limit: 50 })])
      return [
        tagTable([known], Date.now()),
        h('h3', {}, `Entries with this tag: ${entries.length}${cursor ? ' or more' : ''}`),
        h('ul', { class: 'plain links' }, entries.map(it => h('li', {},
          h('button', { class: 'open plain', onclick: () => this.entry(it) }, name(it.logical_key)), state(it.state)))),
        !isImplicit(tag) && h('p', { class: 'buttons' },
          h('button', { onclick: () => this.#actions.refresh({ tags: [tag] }) }, 'Refresh entries…'),
          h('button', { class: 'danger', onclick: () => this.#actions.increment({ tags: [tag] }) }, 'Increment…'))
      ]
    })
  }

  async #open (kind, title, load) {
    const turn = ++this.#asked
    const drawer = $('drawer')
    const content = h('div', { class: 'content' }, h('p', { class: 'muted' }, 'Asking…'))
    drawer.replaceChildren(
      h('header', {}, h('h2', { id: 'drawer-h', tabindex: -1 }, h('span', { class: 'muted' }, `${kind} `), title),
        h('button', { 'aria-label': 'Close', class: 'quiet', onclick: () => drawer.close() }, '✕')),
      content)
    if (!drawer.open) drawer.showModal()
    $('drawer-h').focus()
    this.#last = async () => {
      const found = await load().catch(error => [error.status === 404 ? h('p', { class: 'muted' }, 'It is no longer stored.') : problem(error)])
      if (turn === this.#asked) content.replaceChildren(...found.filter(Boolean))
    }
    await this.#last()
  }

  /** Once more, if it is open: something has changed. */
  async again () {
    if ($('drawer').open) await this.#last()
  }

  /** What a bare request for the entry's URL would get: of this entry or, where headers count, of another. */
  #answer ({ answer, stored }, entry) {
    const same = stored?.key === entry.key
    return h('div', { class: 'verdict' }, h('p', {}, state(answer.outcome), ' ', cut(answer.why, 400)),
      !same && h('p', { class: 'muted' }, 'That is said of a request without header fields; this entry answers other ones.'))
  }

  async #states (tags, known) {
    const found = new Map(known.map(it => [it.tag, it]))
    const wanted = tags.filter(tag => !found.has(tag)).slice(0, TAGS)
    while (wanted.length > 0) {
      const answers = await Promise.all(wanted.splice(0, AT_ONCE).map(tag => this.#api.get(`/v1/tags/${encodeURIComponent(tag)}`)))
      for (const it of answers) found.set(it.tag, it)
    }
    return tags.filter(tag => found.has(tag)).map(tag => found.get(tag))
  }
}
