// The tags that are incremented most, those of the cache's own apart, and those whose increments made requests wait for the app.

import { ago, count, cut, isImplicit, plural } from './format.js'
import { $, empty, h, keyed, name, say, table } from './dom.js'

export class Tags {
  #actions
  #incremented
  #own
  #missed

  /** @param show tells all about one tag */
  constructor (actions, show) {
    this.#actions = actions
    this.show = show
    const columns = last => [{ title: 'Tag' }, { title: last, classes: 'n' }]
    const often = [...columns('Increments'), { title: 'Last' }]
    this.#incremented = table($('tags-incremented'), 'Tags by how often they were incremented, with who did it last', often)
    this.#own = table($('tags-own'), 'The cache\'s own tags by how often they were incremented, with who did it last', often)
    this.#missed = table($('tags-missed'), 'Tags by the misses that their increments caused', columns('Misses'))
  }

  known ({ incremented, incremented_own: own, missed }, now) {
    fill(this.#incremented, incremented, 3, 'No tag was incremented since the start.', () => new Row(this, true), now)
    fill(this.#own, own, 3, 'None since the start.', () => new Row(this, true), now)
    say($('tags-own-h'), `${plural(own.length, 'tag')} of the cache's own`)
    fill(this.#missed, missed, 2, 'No increment has caused a miss since the start.', () => new Row(this, false), now)
  }
}

/** Of those that are as frequent the ones that somebody named come first. */
function fill (body, tags, columns, nothing, make, now) {
  const sorted = tags.toSorted((a, b) => b.count - a.count || isImplicit(a.tag) - isImplicit(b.tag))
  keyed(body, sorted.map(it => ({ ...it, now })), it => it.tag, make)
  if (tags.length === 0) body.append(empty(columns, nothing))
}

class Row {
  #count = h('td', { class: 'n' })
  #last
  #place = h('th', { scope: 'row', class: 'most' })
  #tags

  constructor (tags, last) {
    this.#tags = tags
    this.#last = last && h('td', { class: 'muted last' })
    this.node = h('tr', {}, this.#place, this.#count, this.#last)
  }

  update ({ tag, count: n, last, now }) {
    if (!this.#place.firstChild) {
      this.#place.append(h('button', { class: 'open plain', onclick: () => this.#tags.show(tag) }, name(tag)))
      this.node.dataset.tag = tag
      this.node.classList.toggle('implicit', isImplicit(tag))
    }
    say(this.#count, count(n))
    if (this.#last) say(this.#last, last ? `${ago(last.at, now)}${last.by ? `, ${cut(last.by, 60)}` : ''}` : '')
  }
}
