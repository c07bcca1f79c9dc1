// The one place that touches responses of node:http: adds headers just before the head is made, whoever makes it and how, and holds
// the response back while that has to wait. It knows nothing of tags.
import { CONTROL } from './headers.js'

/** @import { ServerResponse } from 'node:http' */
/** @import { Lines } from './headers.js' */

const METHODS = /** @type {const} */ (['writeHead', 'flushHeaders', 'write', 'end'])

/** @typedef {(typeof METHODS)[number]} Method */
/** @typedef {(...args: any[]) => any} Call */
/** @typedef {{ status: number, cacheControl: string }} Answer what the app is about to send */
/** @typedef {[name: string, value: any]} Header */

/**
 * @typedef {object} Watcher
 * @property {(answer: Answer) => Lines | Promise<Lines>} prepare does not throw or reject
 * @property {() => void} reopen is told that no head was made after all: `prepare` will be called again
 * @property {(error: unknown) => void} failed is told what a call that had to wait has thrown; the response is destroyed then
 */

/**
 * Calls `prepare` before the head of the response is made, and adds what it gives. Of a promise the response waits: what the
 * app writes meanwhile is kept, `write` says `false`, and 'drain' comes as always.
 *
 * @param {ServerResponse} response
 * @param {Watcher} watcher
 */
export function beforeHead (response, { prepare, reopen, failed }) {
  /** @type {Record<Method, Call>} */
  const own = { writeHead: response.writeHead, flushHeaders: response.flushHeaders, write: response.write, end: response.end }
  /** @type {'open' | 'held' | 'made'} */
  let state = 'open'
  let isAscii = true
  /** @type {[Method, any[]][]} */
  const kept = []
  const edits = new Edits(response)

  /** @type {(lines: Lines, method: Method, args: any[]) => void} */
  const make = (lines, method, args) => {
    state = 'made'
    if (Object.keys(lines).length === 0) return
    if (method === 'writeHead') {
      // They would take the place of those that are set.
      for (const [name, value] of given(args).values()) edits.set(name, value)
      args.length = typeof args[1] === 'string' ? 2 : 1
    }
    for (const [name, values] of Object.entries(lines)) {
      const value = joined(name, response.getHeader(name), values)
      if (value) edits.set(name, value)
    }
    isAscii = Object.values(lines).flat().every(line => /^[\x00-\x7f]*$/.test(line))
  }
  /** Sends the head without a text; where there is no body, it leaves with the end. */
  const flush = () => {
    const hasBody = response.req.method !== 'HEAD' && ![204, 304].includes(response.statusCode)
    if (hasBody) own.write.call(response, Buffer.alloc(0))
    else if (!response.headersSent) own.writeHead.call(response, response.statusCode)
  }
  /** @type {(method: Method, args: any[]) => any} */
  const call = (method, args) => {
    if (isAscii) return own[method].apply(response, args)
    // A body that is text goes out together with the head, which is then written in the encoding of that text.
    if (method === 'flushHeaders') return flush()
    return own[method].apply(response, method === 'writeHead' ? args : asBytes(args))
  }
  /** Another answer, of an error handler, may stand in for one that could not be made: it begins anew. */
  const undo = () => {
    if (response.headersSent) return
    edits.undo()
    isAscii = true
    state = 'open'
    reopen()
  }
  const release = (/** @type {Lines} */ lines) => {
    for (const name of /** @type {const} */ (['headersSent', 'writableEnded'])) Reflect.deleteProperty(response, name)
    try {
      make(lines, ...kept[0])
      const went = kept.map(([method, args]) => call(method, args) !== false)
      if (!went.includes(false) && !response.writableEnded && kept.some(([method]) => method === 'write')) response.emit('drain')
    } catch (error) {
      failed(error)
      response.destroy()
    }
  }

  for (const method of METHODS) {
    response[method] = /** @type {Call} */ ((...args) => {
      const isFirst = state === 'open'
      try {
        if (isFirst) {
          const lines = prepare(answer(response, method, args))
          if (lines instanceof Promise) {
            state = 'held'
            define(response, 'headersSent', () => true) // an app that asks must not begin anew
            define(response, 'writableEnded', () => kept.some(([method]) => method === 'end'))
            lines.then(release)
          } else make(lines, method, args)
        }
        if (state !== 'held') return call(method, args)
      } catch (error) {
        if (isFirst) undo()
        throw error
      }
      kept.push([method, args])
      return method === 'write' ? false : method === 'flushHeaders' ? undefined : response
    })
  }
}

/** Sets headers so that they can be as they were, where no head comes of it. */
class Edits {
  #response
  /** @type {Header[]} what was there before, in the order in which it was replaced */
  #before = []

  /** @param {ServerResponse} response */
  constructor (response) {
    this.#response = response
  }

  /**
   * @param {string} name
   * @param {any} value
   */
  set (name, value) {
    this.#before.push([name, this.#response.getHeader(name)])
    this.#response.setHeader(name, value)
  }

  undo () {
    for (const [name, value] of this.#before.splice(0).reverse()) {
      if (value === undefined) this.#response.removeHeader(name)
      else this.#response.setHeader(name, value)
    }
  }
}

/**
 * @param {ServerResponse} response
 * @param {Method} method
 * @param {any[]} args
 * @returns {Answer}
 */
function answer (response, method, args) {
  const isHead = method === 'writeHead'
  const [, cacheControl = response.getHeader('Cache-Control')] = (isHead && given(args).get('cache-control')) || []
  return { status: isHead ? Number(args[0]) : response.statusCode, cacheControl: [cacheControl].join() }
}

/**
 * The headers that are given to `writeHead`, by name in lower case.
 * @param {any[]} args `status[, message][, headers]`
 * @returns {Map<string, Header>}
 */
function given (args) {
  const headers = typeof args[1] === 'string' ? args[2] : args[1] ?? args[2]
  const isList = Array.isArray(headers)
  const pairs = isList ? (Array.isArray(headers[0]) ? headers : inPairs(headers)) : Object.entries(headers ?? {})
  /** @type {Map<string, Header>} */
  const found = new Map()
  for (const [name, value] of pairs) {
    const key = String(name).toLowerCase()
    const before = isList ? found.get(key)?.[1] : undefined
    if (value !== undefined) found.set(key, [name, before === undefined ? value : [before, value].flat()])
  }
  return found
}

/**
 * @param {any[]} list a name, its value, the next name …
 * @returns {Header[]}
 */
const inPairs = list => list.flatMap((name, at) => at % 2 === 0 ? [[name, list[at + 1]]] : [])

/**
 * What the app has set itself stays: lists are added to, and its own freshness counts, unless ours forbids to store.
 * @param {string} name
 * @param {any} before what the app has set
 * @param {string[]} values ours
 * @returns {string | string[] | null} one line, or several; `null`: what is there stays
 */
function joined (name, before, values) {
  if (before !== undefined && name === CONTROL && values[0] !== 'no-store') return null
  const lines = before === undefined || name === CONTROL ? values : [before].flat().map(String).concat(values)
  return lines.length === 1 ? lines[0] : lines
}

/**
 * @param {ServerResponse} response
 * @param {'headersSent' | 'writableEnded'} name
 * @param {() => boolean} get
 */
const define = (response, name, get) => Object.defineProperty(response, name, { configurable: true, get })

/**
 * The arguments of `write` and `end`, their text as bytes.
 * @param {any[]} args
 */
function asBytes ([chunk, encoding, ...rest]) {
  if (typeof chunk !== 'string') return [chunk, encoding, ...rest]
  return typeof encoding === 'string' ? [Buffer.from(chunk, /** @type {BufferEncoding} */ (encoding)), ...rest] : [Buffer.from(chunk), encoding, ...rest]
}
