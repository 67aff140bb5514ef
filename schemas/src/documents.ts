/** Where the generated documents lie: processes serve these files as they are and never build them. */

export const openApiFile = new URL('../json/openapi.json', import.meta.url)
export const asyncApiFile = new URL('../json/asyncapi.json', import.meta.url)
