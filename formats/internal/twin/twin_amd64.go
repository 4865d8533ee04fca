package twin

import "sync"

// able reports whether blocks can run: SHA, AVX, SSE 4.1 and SSSE3, and a system that keeps their registers.
var able = sync.OnceValue(hasSHA)

func hasSHA() bool

// blocks takes n blocks of p into the state a, and n blocks of q into b.
//
//	for each block of a message, with w[0:16] its words, big-endian, and s the state on entry:
//	  for i := 16; i < 64; i++ { w[i] = w[i-16] + s0(w[i-15]) + w[i-7] + s1(w[i-2]) }
//	  for i := range 64 { one round of FIPS 180-4 with w[i] + k[i] }
//	  state += s
//
//go:noescape
func blocks(a, b *[8]uint32, p, q *byte, n int)
