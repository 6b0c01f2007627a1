// Package cli is the command line of Slipway: one file per verb, each with a constructor newVERB(app) that is listed in verbs.go.
//
// A verb reads flags, asks the packages below for the work, and prints what they say. It is not the place for the work itself:
// what the agent also needs lives in internal/build, internal/apply, internal/health and their neighbours.
//
// Conventions that hold for every verb:
//
//   - Results go to Streams.Out, everything else (progress, warnings, errors) to Streams.Err. Colours and progress appear on a
//     terminal only, and never when NO_COLOR is set.
//   - The process ends with ExitDone, ExitFailed or ExitUsage. What fails before a verb's RunE starts is the user's wording
//     (an unknown flag, a wrong number of arguments), so it ends with ExitUsage; a verb says the same with usagef.
//   - A message says what to do next when there is something to do.
package cli
