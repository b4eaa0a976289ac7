import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readReview } from '../../../src/http/routes/admission-review.ts'

function review(containers: string): string {
  const request = `{"uid":"1","kind":{"group":"","kind":"Pod"},"operation":"CREATE","object":{"spec":{"containers":[${containers}]}}}`
  return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":${request}}`
}

for (const entry of ['{}', '0', '[]', '{"15":0}', '{"image":"a,b"}']) {
  test(`a list of a million times ${entry} is refused before it is read`, () => {
    const body = review(Array(1_000_000).fill(entry).join())
    assert.throws(() => readReview(body), /more than 50000 parts/)
  })
}

test('a pod of 20,000 containers is read, and a hundred of its images are wanted', () => {
  const { wanted } = readReview(review(Array(20_000).fill('{"image":"a:1"}').join()))

  assert.equal(wanted.places.length, 100)
  assert.match(wanted.problem ?? '', /more than 100 images/)
})
