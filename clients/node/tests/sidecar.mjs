// The real sidecar in front of an app, for the tests: each in a folder and on ports of its own.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

const BINARY = process.env.TAGALONG_BINARY && path.resolve(process.env.TAGALONG_BINARY)
export const skip = BINARY ? false : 'TAGALONG_BINARY names no sidecar'
export const TOKEN = 'a-token-for-the-tests'

const RULES = `rules:
  - id: echo
    match: { path: '/echo/(?P<value>[^/]+)' }
    ttl: 5m
    tags: ["Echo:{value}"]
  - id: pairs
    match: { path: '/pairs/(?P<front>[^/:]+)/(?P<last>[^/]+)' }
    ttl: 5m
    tags: ["Pair:{front}:{last}"]
  - id: forced
    match: { path: '/tagged/*' }
    ttl: { force: 5m }
  - id: list
    match: { path: '/list' }
    ttl: 5m
    dimensions: { attrs: { size: "{query.size}" } }
`

const children = new Set()
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')))

export class Sidecar {
  /**
   * @param {string} upstream where the app is
   * @param {string} [admin] where to listen for operators; any free port
   */
  async start (upstream, admin = 'http://127.0.0.1:0') {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tagalong-node-'))
    fs.mkdirSync(path.join(this.folder, 'rules'))
    fs.writeFileSync(path.join(this.folder, 'rules', 'rules.yaml'), RULES)
    fs.writeFileSync(path.join(this.folder, 'tagalong.yaml'), `listen: ["127.0.0.1:0"]
admin: { listen: "${new URL(admin).host}", token_env: NODE_CLIENT_TOKEN }
upstream: { url: "${upstream}" }
rules: ./rules
`)
    this.child = spawn(BINARY, ['serve', '--config', path.join(this.folder, 'tagalong.yaml')], {
      env: { ...process.env, NODE_CLIENT_TOKEN: TOKEN }, stdio: ['ignore', 'pipe', 'pipe']
    })
    children.add(this.child)
    this.ended = new Promise(resolve => this.child.on('exit', resolve)).then(() => children.delete(this.child))
    const said = []
    this.child.stderr.on('data', piece => said.push(piece))
    await new Promise((resolve, reject) => {
      this.child.on('error', reject)
      this.child.on('exit', code => reject(new Error(`${BINARY} ended with ${code}: ${Buffer.concat(said)}`)))
      createInterface({ input: this.child.stdout }).on('line', line => {
        const [address] = /127\.0\.0\.1:\d+/.exec(line) ?? []
        if (line.includes('admin interface')) this.admin = `http://${address}`
        else if (line.includes('listening')) this.url = `http://${address}`
        if (this.url && this.admin) resolve()
      })
    })
    return this
  }

  async stop () {
    this.child.kill('SIGTERM')
    const late = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    await this.ended
    clearTimeout(late)
    fs.rmSync(this.folder, { recursive: true })
  }

  /** The version of a tag, `null` where nobody has named it. */
  async version (tag) {
    const response = await fetch(`${this.admin}/v1/tags/${encodeURIComponent(tag)}`, { headers: { Authorization: `Bearer ${TOKEN}` } })
    return (await response.json()).version
  }

  /** How many tags were incremented since the start. */
  async increments () {
    const response = await fetch(`${this.admin}/metrics`, { headers: { Authorization: `Bearer ${TOKEN}` } })
    return [...(await response.text()).matchAll(/^tagalong_increments_total\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  /** What the cache says of a GET. */
  get (path) {
    return ask(this.url, path).then(answer => answer.cache)
  }
}

/**
 * A request, and what is answered: the headers as they came, each line by itself.
 * @param {string} url
 * @param {string} path
 * @param {object} [body] makes it a POST of JSON
 */
export function ask (url, path, body, headers = {}) {
  const text = body && JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const request = http.request(url + path, {
      method: text ? 'POST' : 'GET', agent: false, headers: { ...headers, ...(text ? { 'Content-Type': 'application/json' } : {}) }
    }, response => {
      const pieces = []
      response.on('data', piece => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        const raw = response.rawHeaders
        const lines = name => raw.filter((_, at) => at % 2 === 1 && raw[at - 1].toLowerCase() === name).map(line => Buffer.from(line, 'latin1').toString())
        resolve({ status: response.statusCode, lines, text: Buffer.concat(pieces).toString(), cache: response.headers['cache-status'] ?? '' })
      })
    })
    request.on('error', reject)
    request.end(text)
  })
}

/** What a request through a sidecar has: apps tell by it that their headers are read. */
export const THROUGH = { 'Surrogate-Capability': 'tagalong="Surrogate/1.0"' }

/** A port of this machine on which nobody listens. */
export async function deadUrl () {
  const server = http.createServer()
  const url = await listening(server)
  await new Promise(resolve => server.close(resolve))
  return url
}

/** @param {http.Server} server */
export async function listening (server) {
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${server.address().port}`
}

export class Log {
  warnings = []
  errors = []
  warn = message => { this.warnings.push(message) }
  error = message => { this.errors.push(message) }
}

/** Waits for what happens in another process, for ten seconds at most. */
export async function until (what, test) {
  for (let tries = 0; tries < 500; tries++) {
    if (await test()) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`waited in vain: ${what}`)
}
