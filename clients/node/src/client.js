// Calls of a sidecar's admin interface (docs/admin.md), with retries. It decides what is worth another try, and never says the token.

/** @import { Changes } from './collector.js' */
/** @import { Change } from './changes.js' */

/**
 * What a purge forgets: one of these. Responses of a URL, of a rule, of a group of the configuration, with one of the tags, whose
 * logical key matches a pattern, or all.
 * @typedef {({ url: string } | { rule: string } | { group: string } | { tags: string[] } | { match: string } | { all: true }) & { soft?: boolean }} Purge
 */

/** Most that one call carries; the sidecar takes 10,000 tags and 1 MiB. */
const MOST_TAGS = 5000
const MOST_BYTES = 512 * 1024

/** The sidecar did not do it, or could not be asked. */
export class SidecarError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] of its answer; none: there was no answer
   * @param {unknown} [cause]
   */
  constructor (message, status, cause) {
    super(message, { cause })
    this.name = 'SidecarError'
    this.status = status
  }

  /** Whether another try may go better: every call here may be made twice. */
  get isPassing () {
    return this.status === undefined || this.status === 503
  }
}

export class Client {
  #url
  #token
  #timeout
  #retries

  /** @param {{ url: string, token?: string, timeout?: number, retries?: number }} options `timeout` of one try, in seconds */
  constructor ({ url, token, timeout = 2, retries = 2 }) {
    this.#url = address(url)
    this.#token = checkToken(token)
    this.#timeout = timeout
    this.#retries = retries
  }

  get url () {
    return this.#url
  }

  /**
   * Gives tags new versions. Resolves once the sidecar, and the store it shares, have them.
   * @param {string[]} tags
   * @param {{ soft?: boolean, again?: number }} [options] `again` in seconds
   * @throws {SidecarError}
   */
  async increment (tags, { soft = false, again } = {}) {
    for (const some of portions(tags)) {
      await this.call('POST', '/v1/tags/increment', { tags: some, soft, ...(again === undefined ? {} : { again: `${again}s` }) })
    }
  }

  /**
   * @param {Change} change
   * @throws {SidecarError}
   */
  async change (change) {
    await this.call('POST', '/v1/change', change)
  }

  /**
   * @param {Purge} what
   * @returns {Promise<number | null>} how many responses, where somebody counts them
   * @throws {SidecarError}
   */
  async purge (what) {
    const { purged } = await this.call('POST', '/v1/purge', what)
    return purged
  }

  /**
   * @param {Changes} changes
   * @throws {SidecarError}
   */
  async tell ({ increments, changes }) {
    /** @type {Map<string, { soft: boolean, again?: number, tags: Set<string> }>} */
    const alike = new Map()
    for (const { tag, soft, again } of increments) {
      const key = `${soft} ${again}`
      if (!alike.has(key)) alike.set(key, { soft, again, tags: new Set() })
      alike.get(key)?.tags.add(tag)
    }
    for (const { tags, soft, again } of alike.values()) await this.increment([...tags], { soft, again })
    for (const change of changes) await this.change(change)
  }

  /**
   * Any call of the interface.
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>} the JSON of the answer
   * @throws {SidecarError}
   */
  async call (method, path, body) {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#once(method, path, body)
      } catch (error) {
        if (!(error instanceof SidecarError) || !error.isPassing || tries >= this.#retries) throw error
        await new Promise(resolve => setTimeout(resolve, 100 * 2 ** tries))
      }
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async #once (method, path, body) {
    const what = `${method} ${this.#url}${path}`
    /** @type {Response} */
    let response
    let text
    try {
      response = await fetch(this.#url + path, {
        method,
        redirect: 'manual', // the token is for this sidecar
        signal: AbortSignal.timeout(this.#timeout * 1000),
        headers: { ...(this.#token ? { Authorization: `Bearer ${this.#token}` } : {}), ...(body ? { 'Content-Type': 'application/json' } : {}) },
        body: body && JSON.stringify(body)
      })
      text = await response.text()
    } catch (error) {
      throw new SidecarError(`${what}: ${reason(error)}`, undefined, error)
    }
    if (!response.ok) throw new SidecarError(`${what}: ${response.status} ${text.slice(0, 300)}`, response.status)
    try {
      return text ? JSON.parse(text) : null
    } catch (error) {
      throw new SidecarError(`${what}: the answer is no JSON`, response.status, error)
    }
  }
}

/**
 * `fetch` would repeat one that no header can carry.
 * @param {string} [token]
 * @returns {string | undefined} the same
 * @throws {TypeError}
 */
export function checkToken (token) {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new TypeError('the token is not empty, and ASCII without blanks')
  return token
}

/**
 * @param {string} url
 * @returns {string} without a slash at its end
 */
function address (url) {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const right = parsed && /^https?:$/.test(parsed.protocol) && !parsed.username && !parsed.password && !parsed.search && !parsed.hash
  if (!right) throw new TypeError('the URL of an admin interface is like http://127.0.0.1:9080, without a user, a query or a fragment')
  return parsed.href.replace(/\/+$/, '')
}

/** @param {string[]} tags */
function * portions (tags) {
  /** @type {string[]} */
  let some = []
  let bytes = 0
  for (const tag of tags) {
    const size = Buffer.byteLength(JSON.stringify(tag)) + 1
    if (some.length > 0 && (some.length >= MOST_TAGS || bytes + size > MOST_BYTES)) {
      yield some
      some = []
      bytes = 0
    }
    some.push(tag)
    bytes += size
  }
  if (some.length > 0) yield some
}

/** @param {unknown} error of `fetch`, which hides why in its cause */
function reason (error) {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message || error.cause.name})` : error.message
}
