// The plugin for Fastify: where a request begins, and where its context has to be found again. It touches responses through `open` alone.

/** @import { AsyncLocalStorage } from 'node:async_hooks' */
/** @import { IncomingMessage, ServerResponse } from 'node:http' */
/** @import { Collector } from './collector.js' */

/**
 * What hooks of Fastify are given.
 * @typedef {(request: { raw: IncomingMessage }, reply: { raw: ServerResponse }, done: () => void) => void} Hook
 */

/**
 * @param {(request: IncomingMessage, response: ServerResponse, run: () => void) => void} open
 * @param {(request: IncomingMessage) => Collector | undefined} find
 * @param {AsyncLocalStorage<Collector>} current
 */
export function plugin (open, find, current) {
  /** @type {(app: { addHook: (name: any, hook: any) => unknown }, options: object, done: () => void) => void} */
  const fastify = (app, options, done) => {
    /** @type {Hook} */
    const begin = (request, reply, done) => open(request.raw, reply.raw, done)
    /** @type {Hook} */
    const resume = (request, reply, done) => {
      const collector = find(request.raw)
      return collector ? current.run(collector, done) : done()
    }
    app.addHook('onRequest', begin)
    app.addHook('preValidation', resume) // the body was read in between, by events of its socket
    done()
  }
  // For the whole app, not for what is registered inside of this (what fastify-plugin does).
  return Object.assign(fastify, { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'tagalong' })
}
