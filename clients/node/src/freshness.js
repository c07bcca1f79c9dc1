// How long a response is fresh, as `Tagalong-Cache-Control` says it (RFC 9213, RFC 5861).

/**
 * Seconds, all of them: how long it is fresh (`ttl`), may be served while it is fetched again (`swr`), and while the app fails
 * (`sie`). `noStore`: it is not for the store at all.
 * @typedef {{ ttl?: number, swr?: number, sie?: number, noStore?: boolean }} Freshness
 */

const TIMES = /** @type {const} */ ({ ttl: 'max-age', swr: 'stale-while-revalidate', sie: 'stale-if-error' })
const NAMES = /** @type {('ttl' | 'swr' | 'sie')[]} */ (Object.keys(TIMES))

/**
 * @param {Freshness} said
 * @returns {Freshness} the same
 * @throws {TypeError} where a time is no whole number of seconds, or a name is unknown
 */
export function checkFreshness (said) {
  for (const [name, value] of Object.entries(said)) {
    const isTime = Object.hasOwn(TIMES, name) && Number.isSafeInteger(value) && Number(value) >= 0
    const isKnown = name === 'noStore' || Object.hasOwn(TIMES, name)
    if (!isKnown || !(value === undefined || isTime || (name === 'noStore' && typeof value === 'boolean'))) throw new TypeError(`cacheControl takes ttl, swr and sie in whole seconds and noStore, not ${name}: ${JSON.stringify(value)}`)
  }
  return said
}

/**
 * What holds of a page whose parts say this: it lives as long as the part that lives shortest.
 * @param {Freshness} one
 * @param {Freshness} other
 * @returns {Freshness}
 */
export function shortest (one, other) {
  /** @type {Freshness} */
  const both = { noStore: Boolean(one.noStore || other.noStore) }
  for (const name of NAMES) {
    const times = [one[name], other[name]].filter(time => time !== undefined)
    if (times.length > 0) both[name] = Math.min(...times)
  }
  return both
}

/**
 * What of it holds for the answer that has come of it: an error, and what is for one client or for none, is given no life, whoever has made
 * it so. The sidecar would believe ours before all else (L12).
 * @param {Freshness} said
 * @param {{ status: number, cacheControl: string }} answer
 * @returns {Freshness}
 */
export function forAnswer (said, { status, cacheControl }) {
  const names = cacheControl.split(',').map(directive => directive.split('=')[0].trim().toLowerCase())
  const isKeptBack = status >= 400 || ['private', 'no-store', 'no-cache'].some(name => names.includes(name))
  return isKeptBack ? { noStore: said.noStore } : said
}

/**
 * @param {Freshness} said
 * @returns {string} empty: it says nothing
 */
export function freshnessText (said) {
  if (said.noStore) return 'no-store'
  return NAMES.filter(name => said[name] !== undefined).map(name => `${TIMES[name]}=${said[name]}`).join(', ')
}
