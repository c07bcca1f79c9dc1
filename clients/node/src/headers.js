// From what a request has collected to the lines of its response: pure. Decides what fits, and what has to travel otherwise.
import { changeText, incrementText } from './changes.js'
import { freshnessText } from './freshness.js'

/** @import { Changes } from './collector.js' */
/** @import { Freshness } from './freshness.js' */

/**
 * In bytes: of one line; of all tags of a response; of all its increments and changes.
 * @typedef {{ maxHeaderLine: number, maxTagBytes: number, maxIncrementBytes: number }} Limits
 */
/** @typedef {Record<string, string[]>} Lines of each header, each a string with a character for every byte */

export const TAG = 'Cache-Tag'
export const INCREMENT = 'Cache-Tag-Increment'
export const CHANGE = 'Cache-Tag-Change'
export const CONTROL = 'Tagalong-Cache-Control'
/** Forgets everything: for increments that could not be told in time. */
export const FORGET_ALL = { 'X-LiteSpeed-Purge': ['*'] }

/**
 * @param {{ tags: Set<string>, freshness: Freshness, changes: Changes }} collected
 * @param {Limits} limits
 * @returns {{ lines: Lines, rest: Changes }} `rest` has no room
 */
export function headers ({ tags, freshness, changes }, limits) {
  const increments = fit(unique(changes.increments, incrementText), limits.maxIncrementBytes)
  const said = fit(unique(changes.changes, changeText), limits.maxIncrementBytes - increments.bytes)
  return {
    lines: {
      ...tagLines([...tags], freshnessText(freshness), limits),
      ...lines(INCREMENT, increments.texts, limits.maxHeaderLine),
      ...lines(CHANGE, said.texts, limits.maxHeaderLine)
    },
    rest: { increments: increments.rest, changes: said.rest }
  }
}

/**
 * A page with too many tags must not be stored with some of them. With all of them its head might be too large for the sidecar, which
 * would answer 502: so it says that it is not for the store.
 * @param {string[]} tags
 * @param {string} freshness
 * @param {Limits} limits
 * @returns {Lines}
 */
function tagLines (tags, freshness, { maxTagBytes, maxHeaderLine }) {
  const { texts, rest } = fit(tags.map(tag => ({ text: wire(tag), of: tag })), maxTagBytes)
  if (rest.length > 0) return { [CONTROL]: ['no-store'] }
  return { ...lines(TAG, texts, maxHeaderLine), ...(freshness ? { [CONTROL]: [freshness] } : {}) }
}

/**
 * The bytes of a text in UTF-8, as Node.js wants them in a header: a character each.
 * @param {string} text
 */
const wire = text => Buffer.from(text).toString('latin1')

/**
 * Each once, the first of the same ones.
 * @template T
 * @param {T[]} of
 * @param {(one: T) => string} spell
 * @returns {{ text: string, of: T }[]}
 */
function unique (of, spell) {
  const found = new Map()
  for (const one of of) {
    const text = wire(spell(one))
    if (!found.has(text)) found.set(text, { text, of: one })
  }
  return [...found.values()]
}

/**
 * @template T
 * @param {{ text: string, of: T }[]} members
 * @param {number} room in bytes, with two for the separator of each
 * @returns {{ texts: string[], bytes: number, rest: T[] }}
 */
function fit (members, room) {
  let bytes = 0
  /** @type {string[]} */
  const texts = []
  /** @type {T[]} */
  const rest = []
  for (const { text, of } of members) {
    if (bytes + text.length + 2 > room) {
      rest.push(of)
      continue
    }
    bytes += text.length + 2
    texts.push(text)
  }
  return { texts, bytes, rest }
}

/**
 * Several lines of one name are one list (RFC 9110 §5.3).
 * @param {string} name
 * @param {string[]} members
 * @param {number} longest a member that is longer has a line to itself
 * @returns {Lines}
 */
function lines (name, members, longest) {
  if (members.length === 0) return {}
  /** @type {string[][]} */
  const all = []
  let length = Infinity
  for (const member of members) {
    length += member.length + 2
    if (length > longest) {
      all.push([])
      length = member.length
    }
    all[all.length - 1].push(member)
  }
  return { [name]: all.map(line => line.join(', ')) }
}
