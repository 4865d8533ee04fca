//go:build !amd64

package twin

func able() bool { return false }

func blocks(_, _ *[8]uint32, _, _ *byte, _ int) { panic("no assembly for this CPU") }
