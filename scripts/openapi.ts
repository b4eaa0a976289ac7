import { writeFile } from 'node:fs/promises'
import { openapiDocument } from './openapi-document.ts'

/** Writes openapi/openapi.yaml: `npm run openapi`. */
await writeFile(new URL('../openapi/openapi.yaml', import.meta.url), await openapiDocument())
