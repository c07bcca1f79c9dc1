// `make conformance`: the public HTTP cache test suite (http-cache-tests) through the sidecar, once without any
// file and once with one-rule/rules.yaml, and whether every test does what no-file.json and one-rule.json say.
//
// A difference for the worse fails, and one for the better as well: `make conformance RECORD=1` writes down what is.
// It keeps the reasons, which every required or optimal test that does not pass must have.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

import { grade, passes, tests } from './suites.mjs'

const file = name => fileURLToPath(new URL(name, import.meta.url))
const SIDECAR = file('../../target/debug/tagalong')
const ORIGIN = ['--import', file('loopback.mjs'), file('node_modules/http-cache-tests/server/server.mjs')]
const LOGS = file('../../target/conformance/')
const RESULTS = file('results.md')
const RUNS = [
  { name: 'no-file', title: 'no file', args: [] },
  { name: 'one-rule', title: 'one rule', args: ['--rules', file('one-rule')] }
]
const MAX_MINUTES = 10
const recording = Boolean(process.env.RECORD)

// -- Processes

const children = []
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

/** Starts a program and waits for the address it says it listens on. What else it says goes into a file. */
async function start (name, program, args, env = {}) {
  const log = fs.openSync(`${LOGS}${name}.log`, 'w')
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', log] })
  children.push(child)
  const lines = createInterface({ input: child.stdout })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', code => reject(new Error(`${program} ended with ${code}; see ${LOGS}${name}.log`)))
    lines.on('line', line => {
      fs.writeSync(log, `${line}\n`)
      const address = /[Ll]istening on (?:http:\/\/)?(127\.0\.0\.1:\d+)/.exec(line)
      if (address) resolve(`http://${address[1]}`)
    })
  })
}

/** What became of the tests with these ids, or of all: { id: true | [kind of error, message] }. */
function runClient (base, ids) {
  return new Promise((resolve, reject) => {
    const client = new Worker(new URL('client.mjs', import.meta.url), { workerData: { base, ids } })
    client.on('message', resolve)
    client.on('error', reject)
    client.on('exit', () => reject(new Error('the client ended without results')))
  })
}

// -- Expectations: { id: { kind, grade, reason? } }

const path = run => file(`${run.name}.json`)

function read (run) {
  return fs.existsSync(path(run)) ? JSON.parse(fs.readFileSync(path(run), 'utf8')) : {}
}

/** A line per test, so that a change of one reads as such. */
function write (run, found) {
  const lines = Object.entries(found).map(([id, entry]) => `  ${JSON.stringify(id)}: ${JSON.stringify(entry)}`)
  fs.writeFileSync(path(run), `{\n${lines.join(',\n')}\n}\n`)
}

/** What the results mean, with the reasons that still have something to explain. */
function graded (results, expected) {
  return Object.fromEntries(tests.map(({ id, kind }) => {
    const entry = { kind, grade: grade(id, results) }
    const reason = needsReason(entry) ? expected[id]?.reason : undefined
    return [id, reason ? { ...entry, reason } : entry]
  }))
}

const needsReason = ({ kind, grade }) => kind !== 'check' && !passes(grade)

function differences (expected, found) {
  const ids = new Set([...Object.keys(expected), ...Object.keys(found)])
  return [...ids].filter(id => expected[id]?.grade !== found[id]?.grade || expected[id]?.kind !== found[id]?.kind)
}

function direction ({ grade: before }, { kind, grade: after }) {
  if (kind === 'check' || !before || !after || passes(before) === passes(after)) return 'changed'
  return passes(after) ? 'better' : 'worse'
}

// -- A run

async function measure (run) {
  const expected = read(run)
  const origin = await start(`${run.name}.origin`, process.execPath, ORIGIN, {
    npm_config_protocol: 'http',
    npm_config_port: '0',
    npm_config_pidfile: '/dev/null'
  })
  const listen = ['serve', '--upstream', origin, '--listen', '127.0.0.1:0']
  const sidecar = await start(`${run.name}.sidecar`, SIDECAR, [...listen, ...run.args])
  const results = await runClient(sidecar)
  const doubtful = differences(expected, graded(results, expected)).filter(id => id in results)
  // The tests live on pauses of a few seconds, which a busy machine stretches: what differs is asked once more.
  if (doubtful.length && Object.keys(expected).length) {
    console.log(`${run.title}: ${doubtful.length} differ, run once more: ${doubtful.join(', ')}`)
    Object.assign(results, await runClient(sidecar, doubtful))
  }
  return { run, expected, results, found: graded(results, expected) }
}

/** Says what differs from what is expected; whether all is well. */
function check ({ run, expected, results, found }) {
  const differing = differences(expected, found)
  for (const id of differing) {
    const [before, after] = [expected[id] ?? {}, found[id] ?? {}]
    const said = Array.isArray(results[id]) ? `: ${results[id].join(': ')}` : ''
    const change = `${before.grade ?? 'not there'} -> ${after.grade ?? 'not there'}`
    console.log(`${run.title}: ${direction(before, after)}: ${id} (${after.kind ?? before.kind}) ${change}${said}`)
  }
  const unexplained = Object.keys(found).filter(id => needsReason(found[id]) && !found[id].reason)
  for (const id of unexplained) {
    console.log(`${run.title}: no reason in ${path(run)}: ${id} (${found[id].kind}) ${results[id]}`)
  }
  if (differing.length && !recording) console.log(`${run.title}: if that is meant, record it: make conformance RECORD=1`)
  return (recording || differing.length === 0) && unexplained.length === 0
}

// -- Results

const count = (found, wanted) => {
  const ofKind = Object.values(found).filter(({ kind }) => kind === wanted)
  return `${ofKind.filter(({ grade }) => passes(grade)).length} of ${ofKind.length}`
}

const table = measured => [
  ['', ...measured.map(({ run }) => run.title)],
  ['---', ...measured.map(() => '---')],
  ...[['required: passed', 'required'], ['optimal: passed', 'optimal'], ['check: yes', 'check']]
    .map(([title, kind]) => [title, ...measured.map(({ found }) => count(found, kind))])
].map(row => `| ${row.join(' | ')} |`).join('\n')

function failing ({ run, found }) {
  const rows = Object.entries(found)
    .filter(([, entry]) => needsReason(entry))
    .map(([id, { kind, grade, reason }]) => `| \`${id}\` | ${kind} | ${grade} | ${reason ?? ''} |`)
  return [`## Not passed: ${run.title}\n`, '| test | kind | grade | reason |', '|---|---|---|---|', ...rows].join('\n')
}

const report = measured => `# HTTP conformance

The public suite http-cache-tests 0.4.5 through Tagalong: without any file, and with the one rule of
[one-rule/rules.yaml](one-rule/rules.yaml). A test passes only if the tests it depends on pass as well. Written by \`make conformance RECORD=1\`.

${table(measured)}

${measured.map(failing).join('\n\n')}
`

// -- Top to bottom

setTimeout(() => {
  console.error(`no end after ${MAX_MINUTES} minutes; see ${LOGS}`)
  process.exit(1)
}, MAX_MINUTES * 60_000).unref()
fs.mkdirSync(LOGS, { recursive: true })
const measured = await Promise.all(RUNS.map(measure))
if (recording) {
  measured.forEach(({ run, found }) => write(run, found))
  fs.writeFileSync(RESULTS, report(measured))
}
const well = measured.map(check).every(Boolean)
console.log(table(measured))
process.exit(well ? 0 : 1)
