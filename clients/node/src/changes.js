// What a request has changed, as values and as it is written in headers (docs/headers.md): increments of tags, and changes of
// attributes as structured fields (RFC 9651). Both are checked where they are made, so that nothing wrong can be collected.
import { check } from './tags.js'

/** @typedef {string | number | bigint | boolean | null | undefined} Value of an attribute; `null` and `undefined`: there is none */
/** @typedef {{ tag: string, soft: boolean, again?: number }} Increment `again` in seconds */
/** @typedef {{ rule: string, old: Record<string, string>, new: Record<string, string> }} Change */

const LONGEST_AGAIN = 86_400

/**
 * @param {readonly string[]} tags
 * @param {{ soft?: boolean, again?: number }} options
 * @returns {Increment[]}
 */
export function increments (tags, { soft = false, again } = {}) {
  if (again !== undefined && !(Number.isInteger(again) && again > 0 && again <= LONGEST_AGAIN)) {
    throw new TypeError(`again is a whole number of seconds, from 1 to ${LONGEST_AGAIN}`)
  }
  return tags.map(tag => ({ tag: check(tag), soft, ...(again === undefined ? {} : { again }) }))
}

/**
 * @param {string} rule the id of a rule with `dimensions`
 * @param {{ old?: Record<string, Value>, new?: Record<string, Value> }} values by attribute
 * @returns {Change}
 */
export function change (rule, values = {}) {
  if (typeof rule !== 'string' || !/^[\x20-\x7e]+$/.test(rule)) throw new TypeError('a change names the id of a rule, in ASCII')
  return { rule, old: texts(values.old), new: texts(values.new) }
}

/** @param {Record<string, Value>} [values] */
function texts (values = {}) {
  /** @type {Record<string, string>} */
  const found = Object.create(null)
  for (const [name, value] of Object.entries(values)) {
    // What may follow `old.` in the key of a parameter (RFC 9651 §3.1.2).
    if (!/^[a-z0-9_.*-]+$/.test(name)) throw new TypeError(`${JSON.stringify(name.slice(0, 80))} is no name of an attribute: a-z, 0-9 and _ - . *`)
    if (value === null || value === undefined) continue
    if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`the value of ${name} is a text, a number or a boolean`)
    found[name] = String(value)
  }
  return found
}

/** @param {Increment} increment */
export const incrementText = ({ tag, soft, again }) => `${tag}${soft ? ';soft' : ''}${again === undefined ? '' : `;again=${again}`}`

/** @param {Change} change */
export function changeText ({ rule, old, new: after }) {
  const parameters = [old, after].flatMap((values, side) =>
    Object.entries(values).map(([name, value]) => `;${side === 0 ? 'old' : 'new'}.${name}=${item(value)}`))
  return item(rule) + parameters.join('')
}

/**
 * A string (RFC 9651 §4.1.6), or where that cannot hold the text, a display string (§4.1.11).
 * @param {string} text
 */
function item (text) {
  if (/^[\x20-\x7e]*$/.test(text)) return `"${text.replace(/["\\]/g, '\\$&')}"`
  const bytes = [...Buffer.from(text)].map(byte =>
    byte < 0x20 || byte > 0x7e || byte === 0x25 || byte === 0x22 ? `%${byte.toString(16).padStart(2, '0')}` : String.fromCharCode(byte))
  return `%"${bytes.join('')}"`
}
