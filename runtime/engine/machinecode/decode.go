package main

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"
)

// instruction is what the counts want to know of one.
type instruction struct {
	at, size int
	text     string
	op       string // mnemonic, upper case
	target   int    // of a jump, else -1
	always   bool   // the jump is taken always
	ends     bool   // nothing falls through but by a jump around it: a return or a fault
	load     bool   // reads memory
	store    bool   // writes memory
	stack    bool   // that memory is the frame
}

// decode splits machine code of this build's GOARCH.
func decode(code []byte) ([]instruction, error) {
	one := decodeAMD64
	switch runtime.GOARCH {
	case "amd64":
	case "arm64":
		one = decodeARM64
	default:
		return nil, fmt.Errorf("no decoder for %s", runtime.GOARCH)
	}
	var out []instruction
	for at := 0; at < len(code); {
		i := one(code[at:], at)
		out = append(out, i)
		at += i.size
	}
	return out, nil
}

// decodeAMD64 decodes one; what the decoder does not know is a byte of data.
func decodeAMD64(code []byte, at int) instruction {
	x, err := x86asm.Decode(code, 64)
	if err != nil {
		return instruction{at: at, size: 1, target: -1, op: ".BYTE", text: fmt.Sprintf(".byte %#x", code[0])}
	}
	i := instruction{at: at, size: x.Len, target: -1, op: x.Op.String(), text: x86asm.IntelSyntax(x, uint64(at), nil)}
	if rel, ok := x.Args[0].(x86asm.Rel); ok && strings.HasPrefix(i.op, "J") {
		i.target, i.always = at+x.Len+int(rel), x.Op == x86asm.JMP
	}
	i.ends = x.Op == x86asm.RET || x.Op == x86asm.UD2
	for n, arg := range x.Args {
		m, ok := arg.(x86asm.Mem)
		if !ok || x.Op == x86asm.LEA || x.Op == x86asm.NOP {
			continue
		}
		i.stack = m.Base == x86asm.RSP || m.Base == x86asm.RBP
		moves := strings.HasPrefix(i.op, "MOV")
		reads := x.Op == x86asm.CMP || x.Op == x86asm.TEST
		i.store = n == 0 && !reads
		i.load = n > 0 || !moves
	}
	return i
}

func decodeARM64(code []byte, at int) instruction {
	i := instruction{at: at, size: min(4, len(code)), target: -1, op: ".WORD"}
	x, err := arm64asm.Decode(code)
	if err != nil {
		i.text = fmt.Sprintf(".word %x", code[:i.size])
		return i
	}
	i.op, i.text = x.Op.String(), x.String()
	for _, arg := range x.Args {
		switch v := arg.(type) {
		case arm64asm.PCRel:
			if strings.HasPrefix(i.op, "B") || strings.HasPrefix(i.op, "CB") || strings.HasPrefix(i.op, "TB") {
				_, conditional := x.Args[0].(arm64asm.Cond)
				i.target, i.always = at+int(v), i.op == "B" && !conditional
			}
		case arm64asm.MemImmediate:
			i.stack = v.Base == arm64asm.RegSP(arm64asm.SP)
		}
	}
	i.load, i.store = strings.HasPrefix(i.op, "LD"), strings.HasPrefix(i.op, "ST")
	i.ends = i.op == "RET" || i.op == "BRK" || i.op == "UDF"
	return i
}
