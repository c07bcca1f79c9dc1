// The real binary with a small app behind it, for e2e.test.mjs.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const BINARY = path.resolve(fileURLToPath(new URL('../../', import.meta.url)), process.env.TAGALONG ?? 'target/debug/tagalong')
export const TOKEN = 'a-token-for-the-test'

export const RULES = `rules:
  - id: user
    match: { path: '/users/(?P<id>[^/]+)' }
    ttl: 5m
    tags: ["User:{id}", people]
  - id: user-write
    match: { methods: [POST], path: '/users/(?P<id>[^/]+)' }
    increments: [{ tags: ["User:{id}"] }]
  - id: page
    match: { path: '/pages/*' }
    ttl: 5m
`

const children = new Set()
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

/** An app: what it answers is counted, and it says what its answers depend on. */
export class App {
  asked = new Map()

  async start () {
    this.server = http.createServer((request, response) => {
      const key = `${request.method} ${request.url}`
      this.asked.set(key, (this.asked.get(key) ?? 0) + 1)
      const url = new URL(request.url, 'http://app')
      const tag = url.searchParams.get('tag')
      response.setHeader('Content-Type', 'text/plain')
      if (tag) response.setHeader(request.method === 'GET' ? 'Cache-Tag' : 'Cache-Tag-Increment', tag)
      if (url.pathname === '/private') response.setHeader('Cache-Control', 'private')
      request.resume().on('end', () => response.end(`${key} ${this.asked.get(key)}`))
    })
    await new Promise(resolve => this.server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${this.server.address().port}`
    return this
  }

  stop () {
    this.server.closeAllConnections()
    return new Promise(resolve => this.server.close(resolve))
  }
}

/** A sidecar in a folder of its own, which is gone with it. */
export class Sidecar {
  constructor (app, { token = false, admin = '127.0.0.1:0' } = {}) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tagalong-dashboard-'))
    fs.mkdirSync(path.join(this.folder, 'rules'))
    this.rules(RULES)
    this.token = token ? TOKEN : null
    this.admin = admin
    this.app = app
  }

  rules (text) {
    fs.writeFileSync(path.join(this.folder, 'rules', 'rules.yaml'), text)
  }

  async start () {
    fs.writeFileSync(path.join(this.folder, 'tagalong.yaml'), `namespace: shop
listen: ["127.0.0.1:0"]
admin: { listen: "${this.admin}"${this.token ? ', token_env: DASHBOARD_TOKEN' : ''} }
upstream: { url: "${this.app.url}" }
rules: ./rules
purge_groups: { crew: { tags: [people] } }
`)
    this.child = spawn(BINARY, ['serve', '--config', path.join(this.folder, 'tagalong.yaml')], {
      env: { ...process.env, ...(this.token ? { DASHBOARD_TOKEN: this.token } : {}) }, stdio: ['ignore', 'pipe', 'pipe']
    })
    children.add(this.child)
    this.child.on('exit', () => children.delete(this.child))
    const said = []
    this.child.stderr.on('data', piece => said.push(piece))
    const [url, admin] = await new Promise((resolve, reject) => {
      const found = {}
      this.child.on('error', reject)
      this.child.on('exit', code => reject(new Error(`${BINARY} ended with ${code}: ${Buffer.concat(said)}`)))
      createInterface({ input: this.child.stdout }).on('line', line => {
        const [address] = /127\.0\.0\.1:\d+/.exec(line) ?? []
        if (line.includes('admin interface')) found.admin = `http://${address}`
        else if (line.includes('listening')) found.url = `http://${address}`
        if (found.url && found.admin) resolve([found.url, found.admin])
      })
    })
    this.url = url
    this.dashboard = admin
    this.admin = admin.slice('http://'.length) // a restart is found at the same place
    return this
  }

  async stop () {
    if (this.child.exitCode !== null) return // it did not start
    const ended = new Promise(resolve => this.child.on('exit', resolve))
    this.child.kill('SIGTERM')
    const late = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    const code = await ended
    clearTimeout(late)
    if (code !== 0) throw new Error(`${BINARY} ended with ${code}`)
  }

  async remove () {
    try {
      await this.stop()
    } finally {
      fs.rmSync(this.folder, { recursive: true })
    }
  }

  /** A call of the admin interface. */
  async api (path, method = 'GET', body) {
    const response = await fetch(this.dashboard + path, {
      method,
      headers: { ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}), ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body && JSON.stringify(body)
    })
    return response.json()
  }

  /** A client's request: the body and what the cache says of it. */
  async ask (path, method = 'GET', headers = {}) {
    const response = await fetch(this.url + path, { method, headers })
    const body = await response.text()
    return { status: response.headers.get('cache-status') ?? '', body }
  }
}
