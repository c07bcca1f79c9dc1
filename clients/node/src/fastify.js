// The plugin for Fastify: where a request begins. Fastify itself keeps the request's context while it reads the body.

/** @import { IncomingMessage, ServerResponse } from 'node:http' */

/** @typedef {(request: { raw: IncomingMessage }, reply: { raw: ServerResponse }, done: () => void) => void} Hook */

/** @param {(request: IncomingMessage, response: ServerResponse, run: () => void) => void} open */
export function plugin (open) {
  /** @type {(app: { addHook: (name: any, hook: any) => unknown }, options: object, done: () => void) => void} */
  const fastify = (app, options, done) => {
    /** @type {Hook} */
    const begin = (request, reply, done) => open(request.raw, reply.raw, done)
    app.addHook('onRequest', begin)
    done()
  }
  // For the whole app, not for what is registered inside of this (what fastify-plugin does).
  return Object.assign(fastify, { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'tagalong' })
}
