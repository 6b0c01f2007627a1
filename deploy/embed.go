package deploy

import "embed"

// FS holds the folders base, overlays and components, as they are in the repository.
//
//go:embed base overlays components
var FS embed.FS
