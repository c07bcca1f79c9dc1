// The examples of README.md, as they stand there, behind the real sidecar.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { ask, deadUrl, Sidecar, skip, TOKEN, until } from './sidecar.mjs'

const FOLDER = new URL('node_modules/.readme/', import.meta.url) // where the packages are found

before(() => {
  fs.rmSync(FOLDER, { recursive: true, force: true })
  fs.mkdirSync(FOLDER)
  fs.writeFileSync(new URL('package.json', FOLDER), '{ "type": "module" }')
  const readme = fs.readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const [, block, name] of readme.matchAll(/^```js\n(\/\/ (\w+\.js)[^]*?)^```$/gm)) fs.writeFileSync(new URL(name, FOLDER), block)
})

function run (name, environment) {
  const child = spawn(process.execPath, [name], { cwd: FOLDER, env: { ...process.env, ...environment }, stdio: 'inherit' })
  process.on('exit', () => child.kill('SIGKILL'))
  return child
}

for (const name of ['express.js', 'fastify.js']) {
  describe(`README.md: ${name}`, { skip }, () => {
    const sidecar = new Sidecar()
    let app

    before(async () => {
      const [url, admin] = [await deadUrl(), await deadUrl()]
      app = run(name, { PORT: new URL(url).port, TAGALONG_ADMIN_URL: admin, TAGALONG_ADMIN_TOKEN: TOKEN })
      await until('the app', () => ask(url, '/').then(() => true, () => app.exitCode !== null))
      assert.equal(app.exitCode, null)
      await sidecar.start(url, admin)
    })
    after(async () => {
      await sidecar.stop()
      app.kill('SIGTERM')
      if (app.exitCode === null && app.signalCode === null) await once(app, 'exit')
    })

    test('a product is stored until it is ordered, and until a job says that it has changed', async () => {
      const product = () => ask(sidecar.url, '/products/1')
      assert.match((await product()).cache, /fwd=uri-miss; stored/)
      assert.deepEqual(JSON.parse((await product()).text), { id: '1', left: 100 })
      assert.match((await product()).cache, /tagalong; hit; ttl=3[56]/)
      assert.equal((await ask(sidecar.url, '/products/1/orders', {}, {})).status, 204)
      const ordered = await product()
      assert.match(ordered.cache, /fwd=stale.*detail=invalidated/)
      assert.deepEqual(JSON.parse(ordered.text), { id: '1', left: 99 })
      assert.match((await product()).cache, /tagalong; hit/)
      const job = run('job.js', { TAGALONG_ADMIN_URL: sidecar.admin, TAGALONG_ADMIN_TOKEN: TOKEN })
      assert.deepEqual(await once(job, 'exit'), [0, null])
      assert.match((await product()).cache, /fwd=stale.*detail=invalidated/)
    })

    test('a product that there is not is 404', async () => assert.equal((await ask(sidecar.url, '/products/9')).status, 404))
  })
}
