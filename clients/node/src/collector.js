// What one request collects until the head of its response is made. After that it is closed: what comes later has to travel otherwise.
import { shortest } from './freshness.js'

/** @import { Change, Increment } from './changes.js' */
/** @import { Freshness } from './freshness.js' */

/** @typedef {{ increments: Increment[], changes: Change[] }} Changes */

export class Collector {
  isOpen = true
  /** @type {Set<string>} */
  tags = new Set()
  /** @type {Freshness} */
  freshness = {}
  /** @type {Changes} */
  changes = { increments: [], changes: [] }

  /**
   * @param {Changes} changes
   */
  add ({ increments, changes }) {
    // One after the other: as arguments of one call, very many would not fit on the stack.
    for (const increment of increments) this.changes.increments.push(increment)
    for (const change of changes) this.changes.changes.push(change)
  }

  /** @param {Freshness} said */
  keep (said) {
    this.freshness = shortest(this.freshness, said)
  }

  close () {
    this.isOpen = false
    return this
  }

  get isEmpty () {
    return this.tags.size === 0 && Object.keys(this.freshness).length === 0 && isNothing(this.changes)
  }
}

/** @param {Changes} changes */
export const isNothing = ({ increments, changes }) => increments.length === 0 && changes.length === 0
