/** The documentation as a browser gets it: complete, and without a single address outside this process. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import express from 'express'
import { createDocsRoutes } from './routes.ts'

describe('the documentation', () => {
  let server: Server
  let url: string

  before((done) => {
    server = createServer(express().use(createDocsRoutes())).listen(0, '127.0.0.1', () => {
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      done()
    })
  })

  after((done) => {
    server.closeAllConnections()
    server.close(done)
  })

  const get = async (path: string) => {
    const answer = await fetch(`${url}${path}`)
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }

  it('serves the generated OpenAPI and AsyncAPI documents as JSON', async () => {
    for (const [path, member, version] of [
      ['/openapi.json', 'openapi', '3.1.1'],
      ['/asyncapi.json', 'asyncapi', '3.0.0'],
    ] as const) {
      const { status, headers, text } = await get(path)
      expect([status, headers.get('content-type')]).to.deep.equal([200, 'application/json; charset=utf-8'])
      expect(JSON.parse(text)).to.have.property(member, version)
    }
  })

  it('serves a page whose every part comes from this process', async () => {
    const { status, headers, text } = await get('/docs')
    expect(status).to.equal(200)
    expect(headers.get('content-type')).to.match(/^text\/html/)
    expect(headers.get('content-security-policy')).to.match(/^default-src 'self'; /)
    expect(headers.get('content-security-policy')).to.not.match(/https?:|\*/)
    const parts = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    expect(parts).to.have.length(4)
    for (const part of parts) {
      expect(part).to.match(/^\/docs\//)
      expect((await get(part)).status, part).to.equal(200)
    }
  })

  it('names no outside address in the page, its style or its start', async () => {
    const { text: page } = await get('/docs')
    const { text: start } = await get('/docs/start.js')
    const { text: style } = await get('/docs/swagger-ui.css')
    expect(page + start).to.not.match(/(https?:)?\/\/\w/)
    expect(start).to.include('validatorUrl: null')
    expect(style).to.not.match(/@import/)
    const loaded = [...style.matchAll(/url\(\s*["']?([^)]{0,20})/g)].map((match) => match[1] ?? '')
    expect(loaded.filter((address) => !address.startsWith('data:'))).to.deep.equal([])
  })

  it('also answers at the address with a slash', async () => {
    expect((await get('/docs/')).status).to.equal(200)
  })

  it('gives out nothing else of the package it uses', async () => {
    for (const path of [
      '/docs/package.json',
      '/docs/index.html',
      '/docs/swagger-initializer.js',
      '/docs/..%2fpackage.json',
    ])
      expect((await get(path)).status, path).to.equal(404)
  })
})
