// What an app may set, checked once.
import { checkToken, Client } from './client.js'

/** @import { Limits } from './headers.js' */

/** @typedef {{ warn: (message: string) => void, error: (message: string) => void }} Logger */

/**
 * @typedef {object} Options
 * @property {string | readonly string[]} [adminUrls] where sidecars listen for their operators, such as `http://127.0.0.1:9080`; several that share no
 *   store must all be told
 * @property {string} [token] for them
 * @property {number} [timeout] of one try, in seconds; 2
 * @property {number} [retries] after the first try; 2
 * @property {Logger} [logger] the console
 * @property {number} [maxHeaderLine] in bytes; 4096
 * @property {number} [maxTagBytes] of one response; beyond it says that it is not to be stored; 16384, which is the sidecar's `limits.max_tag_bytes`
 * @property {number} [maxIncrementBytes] of one response; what is beyond goes to the admin interface before the response does; 32768
 */

/**
 * @param {Options} options
 * @returns {{ clients: Client[], logger: Logger, limits: Limits }}
 * @throws {TypeError}
 */
export function settle ({
  adminUrls = [], token, timeout = 2, retries = 2, logger = console,
  maxHeaderLine = 4096, maxTagBytes = 16_384, maxIncrementBytes = 32_768, ...unknown
}) {
  const [name] = Object.keys(unknown)
  if (name) throw new TypeError(`tagalong has no option ${JSON.stringify(name)}`)
  checkToken(token)
  if (typeof logger?.warn !== 'function' || typeof logger.error !== 'function') throw new TypeError('the logger has warn and error')
  if (!(timeout > 0 && timeout <= 60)) throw new TypeError('timeout is a number of seconds, at most 60')
  for (const [name, value] of Object.entries({ retries, maxHeaderLine, maxTagBytes, maxIncrementBytes })) {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`${name} is a whole number, not below 0`)
  }
  return {
    clients: [adminUrls].flat().map(url => new Client({ url, token, timeout, retries })),
    logger,
    limits: { maxHeaderLine, maxTagBytes, maxIncrementBytes }
  }
}
