// Package builtin reconciles the Modules that are part of Slipway: they have no package and no objects, so that package attempt has nothing
// to do with them. What runs in the agent (delivery) has the agent's version, and its Module says whether the agent serves it. The agent
// itself is upgraded when another version of it is wanted and may begin; how, is an AgentUpgrade's business, and the Module mirrors that.
//
// What was begun is in the status before it is: the AgentUpgrade has the name that status.attempt says, so that there is never a second one
// for one wish, whoever is ended when. The process that goes on after the hand-over is another one, and needs nothing else.
package builtin
