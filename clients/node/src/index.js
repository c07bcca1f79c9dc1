// Tagalong for Node.js: what a request collects, and where it goes. Before the head of the response, into headers; afterwards, outside
// of requests, and where there is no room, to the admin interface. The cache may fail and the app may not: nothing here rejects.
import { AsyncLocalStorage } from 'node:async_hooks'
import * as made from './changes.js'
import { Client, SidecarError } from './client.js'
import { Collector, isNothing } from './collector.js'
import { plugin } from './fastify.js'
import { checkFreshness, forAnswer } from './freshness.js'
import { FORGET_ALL, headers, TAG } from './headers.js'
import { beforeHead } from './response.js'
import { settle } from './settings.js'
import { checkTagged, encode, tag, valid } from './tags.js'

/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Value } from './changes.js' */
/** @import { Changes } from './collector.js' */
/** @import { Freshness } from './freshness.js' */
/** @import { Lines } from './headers.js' */
/** @import { Answer } from './response.js' */
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

  /**
   * Whether all who are to know of changes read the response: of sidecars that share no store it passes one alone, and who asks the app
   * directly passes none.
   * @type {(request: IncomingMessage) => boolean}
   */
  const reachesAll = ({ headers }) => clients.length === 0 || (clients.length === 1 && /\btagalong=/.test([headers['surrogate-capability']].join()))

  /** @type {(collector: Collector, request: IncomingMessage, answer: Answer) => Lines | Promise<Lines>} */
  function head (collector, request, answer) {
    collector.close()
    if (collector.isEmpty) return {}
    const { tags, freshness, changes } = collector
    const { lines, rest } = headers({ tags, freshness: forAnswer(freshness, answer), changes }, limits)
    if (tags.size > 0 && !lines[TAG]) logger.warn(`tagalong: a response has ${tags.size} tags, which is more than maxTagBytes: it is not stored`)
    const untold = reachesAll(request) ? rest : changes
    if (isNothing(untold)) return lines
    return tell(untold).then(isTold => {
      if (isTold || isNothing(rest)) return lines
      logger.error('tagalong: what has no room in a response could not be told, so that everything is forgotten')
      return { ...lines, ...FORGET_ALL }
    })
  }

  /** @type {<T>(request: IncomingMessage, response: ServerResponse, run: () => T) => T} */
  function open (request, response, run) {
    const known = collectors.get(request)
    if (known) return current.run(known, run)
    const collector = new Collector()
    collectors.set(request, collector)
    // Of an upgraded connection, and where the head has left, there is nothing that could carry anything.
    if (response.headersSent || /** @type {{ upgrade?: boolean }} */ (request).upgrade) collector.close()
    else watch(collector, request, response)
    return current.run(collector, run)
  }

  /** @type {(collector: Collector, request: IncomingMessage, response: ServerResponse) => void} */
  function watch (collector, request, response) {
    let isOver = false
    let isFinished = false
    beforeHead(response, {
      prepare: answer => head(collector, request, answer),
      reopen: () => { collector.isOpen = !isOver },
      failed: error => logger.error(`tagalong: the response could not be sent: ${error}`)
    })
    response.once('finish', () => { isFinished = true })
    response.once('close', () => {
      isOver = true
      // A response of HTTP/2 says 'finish' whatever has become of it.
      const isSent = isFinished && !/** @type {any} */ (response).stream?.rstCode
      // Whoever asked has gone, and nobody knows whether the head has arrived.
      if (!isSent && !isNothing(collector.close().changes)) tell(collector.changes)
    })
  }

  /**
   * @template T
   * @param {readonly (object | T)[]} args maybe with a request, a response or a context in front
   * @returns {[Collector | undefined, T[]]}
   */
  function whose (args) {
    const [first, ...rest] = args
    const isRequest = typeof first === 'object' && first !== null && !Array.isArray(first)
    return isRequest ? [collectorOf(first), /** @type {T[]} */ (rest)] : [current.getStore(), /** @type {T[]} */ (args)]
  }

  /** @param {any} of a request, reply or context of a framework, in which the request of node:http is */
  function collectorOf (of) {
    for (let depth = 0; depth < 3 && !collectors.has(of); depth++) of = of?.raw ?? of?.req
    return collectors.get(of)
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
