// Sends numbered messages with one client: node send.mjs CLIENT URL HOST:PORT TIME COUNT [LARGE].
// The message n is m-n, of the time TIME+n in milliseconds, an error of the service shop on
// the host web-1; the message LARGE has 100,000 characters more. "half" is printed in the middle, and the failures that the client tells at the end.
import { setTimeout as wait } from 'node:timers/promises'

const [name, url, address, time, count, large] = process.argv.slice(2)
const [host, port] = address.split(':')
const failures = []
const settings = { url, host, port: Number(port), failed: (error) => failures.push(String(error?.message ?? error)) }
process.on('uncaughtException', settings.failed)
process.on('unhandledRejection', settings.failed)

// The pace lets requests be under way when the distributor is killed, for each way to batch.
async function * numbered () {
  for (let n = 0; n < Number(count); n++) {
    if (n === count / 2) process.stdout.write('half\n')
    if (n % 20 === 19) await wait(20)
    yield { n, text: `m-${n}${String(n) === large ? 'x'.repeat(100_000) : ''}`, time: Number(time) + n }
  }
}

const { open, sendAll } = await import(`./clients/${name}.mjs`)
if (sendAll) {
  await sendAll(settings, numbered())
} else {
  const client = await open(settings)
  for await (const message of numbered()) await client.send(message)
  await client.close()
}
console.log(JSON.stringify({ failures: failures.length, first: failures[0] }))
process.exit()
