// Tagalong for Node.js: what a request collects, and where it goes. Before the head of the response, into headers; afterwards, outside
// of requests, and where there is no room, to the admin interface. The cache may fail and the app may not: nothing here rejects.
import { AsyncLocalStorage } from 'node:async_hooks'
import * as made from './changes.js'
import { Client, SidecarError } from './client.js'
import { Collector, isNothing } from './collector.js'
import { plugin } from './fastify.js'
import { checkFreshness } from './freshness.js'
import { FORGET_ALL, headers } from './headers.js'
import { beforeHead } from './response.js'
import { settle } from './settings.js'
import { checkTagged, encode, tag, valid } from './tags.js'

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Value } from './changes.js' */
/** @import { Changes } from './collector.js' */
/** @import { Freshness } from './freshness.js' */
/** @import { Lines } from './headers.js' */
/** @import { Options } from './settings.js' */

/** @typedef {(string | readonly string[])[]} Tags */
/** @typedef {{ soft?: boolean, again?: number }} IncrementOptions `again`: once more, so many seconds later */
/** @typedef {{ old?: Record<string, Value>, new?: Record<string, Value> }} Values of attributes before and after; none: it was not there */
/** @typedef {null | Promise<boolean>} Told `null`: it travels with the response. Else whether every sidecar has it; never rejects */
/** @typedef {ReturnType<typeof tagalong>} Tagalong */

export { Client, SidecarError, encode, tag, valid }

/**
 * One app's connection with its sidecars.
 * @param {Options} [options]
 */
export function tagalong (options = {}) {
  const { clients, logger, limits } = settle(options)
  /** @type {AsyncLocalStorage<Collector>} */
  const current = new AsyncLocalStorage()
  /** @type {WeakMap<object, Collector>} */
  const collectors = new WeakMap()
  let hasWarned = false

  /** @type {(changes: Changes) => Promise<boolean>} */
  async function tell (changes) {
    if (clients.length === 0) {
      if (!hasWarned) logger.warn('tagalong: there is no adminUrls, so that changes outside of requests are told to nobody')
      hasWarned = true
      return false
    }
    const told = await Promise.all(clients.map(client => client.tell(changes).then(() => true, error => {
      const first = changes.increments[0]?.tag ?? changes.changes[0]?.rule
      const count = changes.increments.length + changes.changes.length
      logger.error(`tagalong: ${count} changes (${JSON.stringify(first)} …) could not be told: ${error.message}`)
      return false
    })))
    return told.every(Boolean)
  }

  /** @type {(collector: Collector, isAlone: boolean) => Lines | Promise<Lines>} */
  function head (collector, isAlone) {
    collector.close()
    if (collector.isEmpty) return {}
    const { lines, rest } = headers(collector, isAlone ? { ...limits, maxIncrementBytes: 0 } : limits)
    if (isNothing(rest)) return lines
    return tell(rest).then(isTold => isTold ? lines : { ...lines, ...FORGET_ALL })
  }

  /** @type {<T>(request: IncomingMessage, response: ServerResponse, run: () => T) => T} */
  function open (request, response, run) {
    const known = collectors.get(request)
    if (known) return current.run(known, run)
    const collector = new Collector()
    collectors.set(request, collector)
    // What does not come through a sidecar is not answered through one: nobody would read its headers.
    const isAlone = clients.length > 0 && !/\btagalong=/.test([request.headers['surrogate-capability']].join())
    beforeHead(response, () => head(collector, isAlone), error => logger.error(`tagalong: the response could not be sent: ${error}`))
    let isSent = false
    response.once('finish', () => { isSent = true })
    response.once('close', () => {
      // Whoever asked has gone, and nobody knows whether the head has arrived.
      if (!isSent && !isNothing(collector.close().changes)) tell(collector.changes)
    })
    return current.run(collector, run)
  }

  /**
   * @template T
   * @param {readonly (object | T)[]} args maybe with a request, a response or a context in front
   * @returns {[Collector | undefined, T[]]}
   */
  function whose (args) {
    const [first, ...rest] = args
    const isRequest = typeof first === 'object' && first !== null && !Array.isArray(first)
    return isRequest ? [collectors.get(message(first)), /** @type {T[]} */ (rest)] : [current.getStore(), /** @type {T[]} */ (args)]
  }

  /** @type {(collector: Collector | undefined, changes: Changes) => Told} */
  function report (collector, changes) {
    if (isNothing(changes)) return null
    if (!collector?.isOpen) return tell(changes)
    collector.add(changes)
    return null
  }

  /** @type {(collector: Collector | undefined, what: string) => collector is Collector} */
  function isInTime (collector, what) {
    if (collector?.isOpen) return true
    if (collector) logger.error(`tagalong: ${what} came after the head of its response, which went out without`)
    return false
  }

  return {
    /** Express 4 and 5, Connect: `app.use(cache.express())`, before what it is for. */
    express: () => (/** @type {IncomingMessage} */ request, /** @type {ServerResponse} */ response, /** @type {(error?: any) => void} */ next) =>
      open(request, response, () => next()),

    /** Fastify 5: `await app.register(cache.fastify)`. */
    fastify: plugin(open),

    /** Anything on node:http: `http.createServer((req, res) => cache.run(req, res, () => …))`. */
    run: open,

    /**
     * Says what the response of this request depends on.
     * @param {Tags | [request: object, ...Tags]} args the request where it cannot be known otherwise, tags or lists of them
     * @returns {boolean} false: outside of a request, or too late, which is logged
     * @throws {TypeError} for what is no tag
     */
    cacheTag (...args) {
      const [collector, tags] = /** @type {[Collector | undefined, string[]]} */ (whose(args).map(of => Array.isArray(of) ? of.flat() : of))
      tags.forEach(checkTagged)
      if (!isInTime(collector, `the tag ${JSON.stringify(tags[0])}`)) return false
      for (const one of tags) collector.tags.add(one)
      return true
    },

    /**
     * Says how long the response of this request is fresh, for the sidecar alone. Said several times, the shortest counts.
     * @param {[said: Freshness] | [request: object, said: Freshness]} args
     * @returns {boolean} as of `cacheTag`
     */
    cacheControl (...args) {
      const said = checkFreshness(/** @type {Freshness} */ (args.at(-1)))
      const collector = args.length > 1 ? whose(args)[0] : current.getStore()
      if (!isInTime(collector, 'cacheControl')) return false
      collector.keep(said)
      return true
    },

    /**
     * Says what has changed: call it after the commit.
     * @param {Tags | [...Tags, IncrementOptions] | [request: object, ...Tags] | [request: object, ...Tags, IncrementOptions]} args
     * @returns {Told}
     * @throws {TypeError} for what is no tag
     */
    increment (...args) {
      const [collector, said] = whose(/** @type {(string | readonly string[] | IncrementOptions)[]} */ (args))
      const last = said.at(-1)
      const options = typeof last === 'object' && !Array.isArray(last) ? /** @type {IncrementOptions} */ (said.pop()) : {}
      return report(collector, { increments: made.increments(/** @type {string[]} */ (said.flat()), options), changes: [] })
    },

    /**
     * Says that attributes changed by which a rule's responses are filtered (docs/rules.md, dimensions): call it after the commit.
     * @param {[rule: string, values?: Values] | [request: object, rule: string, values?: Values]} args
     * @returns {Told}
     * @throws {TypeError} for what no rule or attribute can be called
     */
    change (...args) {
      const [collector, [rule, values]] = whose(/** @type {any[]} */ (args))
      return report(collector, { increments: [], changes: [made.change(rule, values)] })
    },

    /** The admin interfaces, one client each. */
    clients
  }
}

/**
 * The request of node:http in a request, reply or context of a framework.
 * @param {any} of
 */
function message (of) {
  for (let depth = 0; depth < 3; depth++) of = of?.raw ?? of?.req ?? of
  return of
}
