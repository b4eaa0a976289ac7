import assert from 'node:assert/strict'
import { test } from 'node:test'
import { detectRuntime, isSameSocket, parseSocketPath } from '../../../src/config/addresses.ts'

test('a socket may be written as a path or as a unix URL', () => {
  assert.equal(parseSocketPath('/run/x.sock'), '/run/x.sock')
  assert.equal(parseSocketPath('unix:///run/x.sock'), '/run/x.sock')
})

test('a socket needs an absolute path', () => {
  for (const text of ['run/x.sock', 'unix://run/x.sock', 'tcp://127.0.0.1:1', '']) {
    assert.throws(() => parseSocketPath(text), /is not an absolute path; start it with \//)
  }
})

test('a path that the kernel cannot bind is refused', () => {
  assert.equal(parseSocketPath(`/${'x'.repeat(106)}`).length, 107)
  assert.throws(() => parseSocketPath(`/${'x'.repeat(107)}`), /at most 107 bytes, this one 108/)
})

test('containerd is found before CRI-O, and CRI-O before cri-dockerd', () => {
  const all = ['/run/cri-dockerd.sock', '/run/crio/crio.sock', '/run/containerd/containerd.sock']

  const found = [3, 2, 1, 0].map((count) => {
    const there = new Set(all.slice(0, count))
    return detectRuntime((path) => there.has(path))
  })

  assert.deepEqual(found, [
    '/run/containerd/containerd.sock',
    '/run/crio/crio.sock',
    '/run/cri-dockerd.sock',
    undefined,
  ])
})

test('/var/run and /run are one folder', () => {
  assert.equal(isSameSocket('/var/run/x.sock', '/run//x.sock'), true)
  assert.equal(isSameSocket('/var/run/x.sock', '/run/y.sock'), false)
})
