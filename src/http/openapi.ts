import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ResolveError } from '../errors.ts'
import { createLogger } from '../telemetry/logger.ts'
import { buildApp } from './app.ts'

/** The OpenAPI document of this door, as openapi/openapi.yaml holds it. */
export async function openapiYaml(): Promise<string> {
  const app = await buildApp({
    answers: {
      answer: () => Promise.reject(new ResolveError('UNAVAILABLE', 'only described here')),
    },
    readiness: { check: async () => [] },
    logger: createLogger('silent'),
  })
  await app.ready()
  try {
    return app.swagger({ yaml: true })
  } finally {
    await app.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(new URL('../../openapi/openapi.yaml', import.meta.url), await openapiYaml())
}
