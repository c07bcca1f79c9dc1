// The one place that touches responses of node:http: adds headers just before the head is made, whoever makes it and how, and holds
// the response back while that has to wait. It knows nothing of tags.
import { CONTROL } from './headers.js'

/** @import { ServerResponse } from 'node:http' */
/** @import { Lines } from './headers.js' */

const METHODS = /** @type {const} */ (['writeHead', 'flushHeaders', 'write', 'end'])

/** @typedef {(typeof METHODS)[number]} Method */
/** @typedef {(...args: any[]) => any} Call */

/**
 * Calls `prepare` once, before the head of the response is made, and adds what it gives. Of a promise the response waits: what the
 * app writes meanwhile is kept, `write` says `false`, and 'drain' comes as always.
 *
 * @param {ServerResponse} response
 * @param {() => Lines | Promise<Lines>} prepare does not throw or reject
 * @param {(error: unknown) => void} failed is told what a call that had to wait has thrown; the response is destroyed then
 */
export function beforeHead (response, prepare, failed) {
  /** @type {Record<Method, Call>} */
  const own = { writeHead: response.writeHead, flushHeaders: response.flushHeaders, write: response.write, end: response.end }
  /** @type {'open' | 'held' | 'made'} */
  let state = 'open'
  let isAscii = true
  /** @type {[Method, any[]][]} */
  const kept = []

  /** @type {(method: Method, args: any[]) => any} */
  const call = (method, args) => {
    if (isAscii) return own[method].apply(response, args)
    // A body that is text goes out together with the head, which is then written in the encoding of that text.
    if (method === 'flushHeaders') return own.write.call(response, Buffer.alloc(0))
    return own[method].apply(response, method === 'writeHead' ? args : asBytes(args))
  }
  /** @type {(lines: Lines, args?: any[]) => void} */
  const make = (lines, args) => {
    state = 'made'
    if (args) ownHeaders(response, args)
    add(response, lines)
    isAscii = Object.values(lines).flat().every(line => /^[\x00-\x7f]*$/.test(line))
  }
  const release = (/** @type {Lines} */ lines) => {
    for (const name of /** @type {const} */ (['headersSent', 'writableEnded'])) Reflect.deleteProperty(response, name)
    const [method, args] = kept[0]
    try {
      make(lines, method === 'writeHead' ? args : undefined)
      const went = kept.map(([method, args]) => call(method, args) !== false)
      if (!went.includes(false) && !response.writableEnded && kept.some(([method]) => method === 'write')) response.emit('drain')
    } catch (error) {
      failed(error)
      response.destroy()
    }
  }

  for (const method of METHODS) {
    response[method] = /** @type {Call} */ ((...args) => {
      if (state === 'open') {
        const lines = prepare()
        if (lines instanceof Promise) {
          state = 'held'
          define(response, 'headersSent', () => true) // an app that asks must not begin anew
          define(response, 'writableEnded', () => kept.some(([method]) => method === 'end'))
          lines.then(release)
        } else {
          const isEmpty = Object.keys(lines).length === 0
          if (isEmpty) state = 'made'
          else make(lines, method === 'writeHead' ? args : undefined)
        }
      }
      if (state !== 'held') return call(method, args)
      kept.push([method, args])
      return method === 'write' ? false : method === 'flushHeaders' ? undefined : response
    })
  }
}

/**
 * Headers that are given to `writeHead` would take the place of those that are set: they are set too, and the rest is added to them.
 * @param {ServerResponse} response
 * @param {any[]} args of `writeHead(status[, message][, headers])`, from which they are taken
 */
function ownHeaders (response, args) {
  const given = typeof args[1] === 'string' ? args[2] : args[1] ?? args[2]
  args.length = typeof args[1] === 'string' ? 2 : 1
  if (!given) return
  const pairs = Array.isArray(given) ? given.flat() : Object.entries(given).flat(1)
  /** @type {Map<string, [string, any]>} */
  const found = new Map()
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const key = String(pairs[i]).toLowerCase()
    const before = Array.isArray(given) ? found.get(key)?.[1] : undefined
    found.set(key, [pairs[i], before === undefined ? pairs[i + 1] : [before, pairs[i + 1]].flat()])
  }
  for (const [name, value] of found.values()) if (value !== undefined) response.setHeader(name, value)
}

/**
 * What the app has set itself stays: lists are added to, and its own freshness counts, unless ours forbids to store.
 * @param {ServerResponse} response
 * @param {Lines} lines
 */
function add (response, lines) {
  for (const [name, values] of Object.entries(lines)) {
    const before = response.getHeader(name)
    if (before === undefined) response.setHeader(name, values)
    else if (name !== CONTROL) response.setHeader(name, [before].flat().map(String).concat(values))
    else if (values[0] === 'no-store') response.setHeader(name, values)
  }
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
