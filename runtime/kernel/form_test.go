package kernel

import "testing"

// TestForm: a kernel made from another's form has its name.
func TestForm(t *testing.T) {
	for _, k := range family(t) {
		again, err := k.Form().kernel()
		if err != nil || again.Name() != k.Name() {
			t.Errorf("%s: made again %v, %v", k.Name(), again, err)
		}
	}
}

// TestPlace: arguments are found by name.
func TestPlace(t *testing.T) {
	k, err := NewLinear(1, ActGELU)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range k.Args() {
		if k.Place(a.Name) != i {
			t.Errorf("argument %s at %d, not %d", a.Name, k.Place(a.Name), i)
		}
	}
	if k.Place("none") != -1 {
		t.Error("an argument that is not there has a place")
	}
}
