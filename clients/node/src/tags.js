// Tags as text: which are right, and how a value stands in one. What a tag means is the sidecar's business, which compares bytes.
// The spelling is that of the templates of rules, and of the other companions: what one of them tags, another may increment.

/** What ends a tag in one of the dialects, or is no part of a header's line. */
const SPLITS = /[,;"\p{White_Space}\p{Cc}]/u
/** What is percent-encoded in an instance; half of a surrogate pair has no UTF-8, and no two values may become one. */
const ENCODED = /[,;"%@\p{White_Space}\p{Cc}\p{Surrogate}]/gu
/** What the admin interface takes, in bytes of UTF-8. */
const MOST_BYTES = 4096

/** @typedef {string | number | bigint | boolean} Instance what tells one thing of a name from another */

/**
 * A value as it stands in the instance of a tag: commas, semicolons, quotes, percent and at signs, white space and
 * control characters percent-encoded, everything else as it is. It is what a rule's template such as `User:{id}` makes of the same value.
 * @param {Instance} value a text, a finite number or a boolean; `null` and `undefined` are none, so that no tag is ever `User:undefined`
 * @returns {string}
 * @throws {TypeError} for anything else
 */
export function encode (value) {
  const hasText = typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean' || Number.isFinite(value)
  if (!hasText) throw new TypeError(`the instance of a tag is a text, a number or a boolean, not ${shown(value)}`)
  return String(value).replace(ENCODED, percent)
}

/**
 * A tag: `tag('Dashboard')` is `Dashboard`, `tag('User', 42)` is `User:42`, `tag('Page', 'de', 7)` is `Page:de:7`.
 *
 * Of several parts each but the last has its colons encoded too: a name that has always as many parts means one thing only, and a
 * tag with one part is what the template `Name:{x}` of a rule makes.
 * @param {string} name
 * @param {...Instance} instance
 * @returns {string}
 * @throws {TypeError} where the name is empty, has a colon or begins with `~`, a part has no text, or all are longer than 4096 bytes
 */
export function tag (name, ...instance) {
  if (typeof name !== 'string' || name.includes(':')) throw new TypeError(`the name of a tag is a text without a colon, not ${shown(name)}: what follows it is another argument`)
  const parts = instance.map(encode)
  const last = parts.splice(-1)
  return check([encode(name), ...parts.map(part => part.replaceAll(':', '%3A')), ...last].join(':'))
}

/**
 * Whether the sidecar reads this text as one tag of an app.
 * @type {(text: unknown) => text is string}
 */
export const valid = text => /** @type {any} */ (typeof text === 'string') && wrong(/** @type {string} */ (text)) === null

/**
 * @param {unknown} text
 * @returns {string} the same
 * @throws {TypeError} where it is no tag
 */
export function check (text) {
  if (typeof text !== 'string') throw new TypeError(`a tag is a text, not ${shown(text)}`)
  const why = wrong(text)
  if (why) throw new TypeError(`${shown(text)} is no tag: ${why}. tag("Name", value) encodes values`)
  return text
}

/**
 * As `check`, for a tag of a response, which may say the app's own version of it: `User:42;v=7`.
 * @param {unknown} text
 * @returns {string} the same
 * @throws {TypeError}
 */
export function checkTagged (text) {
  check(typeof text === 'string' ? text.replace(/;v=-?\d{1,15}$/, '') : text)
  return /** @type {string} */ (text)
}

/** @param {string} text */
function wrong (text) {
  if (text === '' || text.startsWith(':')) return 'it has no name'
  if (text.startsWith('~')) return 'what begins with `~` belongs to the cache itself'
  if (SPLITS.test(text)) return '`,`, `;`, `"`, white space and control characters are percent-encoded in one'
  if (/\p{Surrogate}/u.test(text)) return 'it has half of a character'
  if (Buffer.byteLength(text) > MOST_BYTES) return `it is longer than ${MOST_BYTES} bytes`
  return null
}

/** @param {string} character */
function percent (character) {
  const code = character.charCodeAt(0)
  const isHalf = character.length === 1 && code >= 0xd800 && code <= 0xdfff
  const bytes = isHalf ? [0xe0 | code >> 12, 0x80 | (code >> 6 & 0x3f), 0x80 | (code & 0x3f)] : [...Buffer.from(character)]
  return bytes.map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

/**
 * What a message may show of a value that somebody else may have chosen: on one line, and short.
 * @param {unknown} value
 */
const shown = value => typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value === 'object' && value ? 'an object' : String(value).slice(0, 80)
