import { FEWEST_MODULES, inspectOwnImports, proveRules } from './support/boundaries.ts'

// `npm run boundaries`: who imports whom, with proof that the checker sees.
const { modules, imports, violations } = await inspectOwnImports()
const { planted, unseen, wronglySeen } = await proveRules()
const problems = [
  ...violations,
  ...(modules < FEWEST_MODULES ? [`only ${modules} modules were seen`] : []),
  ...unseen.map((each) => `no rule sees the planted mistake: ${each}`),
  ...wronglySeen.map((each) => `a rule refuses what is right: ${each}`),
]
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.stdout.write(
  `boundaries: ${modules} modules with ${imports} imports seen, ${violations.length} against the rules; ` +
    `${planted - unseen.length} of ${planted} planted mistakes found\n`,
)
process.exitCode = problems.length === 0 ? 0 : 1
