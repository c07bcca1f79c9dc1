// What a request would get now, and why.

import { cut } from './format.js'
import { $, h, problem } from './dom.js'
import { entryFacts, planFacts, state, tagTable } from './states.js'

export class Explain {
  #api
  #actions

  constructor (api, actions) {
    this.#api = api
    this.#actions = actions
    $('explain-form').addEventListener('submit', event => {
      event.preventDefault()
      void this.#ask()
    })
  }

  /** Once more, if something was asked: it may have changed. */
  async again () {
    if ($('explain-result').hasChildNodes()) await this.#ask()
  }

  async #ask () {
    const { method, url, headers } = $('explain-form').elements
    const asked = { method: method.value, url: url.value.trim(), header: headers.value.split('\n').map(it => it.trim()).filter(Boolean) }
    const place = $('explain-result')
    try {
      place.replaceChildren(...this.#tell(await this.#api.get('/v1/explain', asked), asked).filter(Boolean))
    } catch (error) {
      place.replaceChildren(problem(error))
    }
  }

  #tell ({ plan, answer, stored, tags }, { url }) {
    const now = Date.now()
    const versions = new Map((stored?.tags ?? []).map(it => [it.tag, it.version]))
    const absolute = /^https?:\/\//.test(url)
    return [
      h('div', { class: 'verdict' }, h('p', {}, state(answer.outcome), ' ', cut(answer.why, 400))),
      h('h3', {}, 'Stored for it'),
      stored ? entryFacts(stored, now) : h('p', { class: 'muted' }, 'Nothing.'),
      h('h3', {}, 'Tags'),
      tagTable(tags, now, versions, tag => this.#actions.increment({ tags: [tag] })),
      h('h3', {}, 'Plan'),
      planFacts(plan),
      absolute && h('p', { class: 'buttons' },
        h('button', { onclick: () => this.#actions.refresh({ url }) }, 'Refresh…'),
        h('button', { class: 'danger', onclick: () => this.#actions.purge({ url }) }, 'Purge URL…'))
    ]
  }
}
