package sim

import (
	"path"
	"slices"
	"strings"
)

// tree is an index into a Disk's entries: the sorted names in each directory.
// It is no part of the state and made when first asked for; after that put and
// drop keep it in step.
type tree struct {
	names map[string][]string
	// entries is how many entries the tree knows of. When it isn't their
	// number, somebody wrote to Entries directly, and the tree is made anew.
	entries int
}

// put and drop are the only ones that write to Entries.
func (d *Disk) put(p string, e *Entry) {
	if d.Entries[p] == nil {
		d.tree.add(p)
	}
	d.Entries[p] = e
}

func (d *Disk) drop(p string) {
	if d.Entries[p] != nil {
		d.tree.cut(p)
	}
	delete(d.Entries, p)
}

func (t *tree) add(p string) {
	if t.names == nil {
		return
	}
	t.entries++
	dir, name := path.Dir(p), path.Base(p)
	if i, found := slices.BinarySearch(t.names[dir], name); !found && p != "/" {
		t.names[dir] = slices.Insert(t.names[dir], i, name)
	}
}

func (t *tree) cut(p string) {
	if t.names == nil {
		return
	}
	t.entries--
	dir, name := path.Dir(p), path.Base(p)
	if i, found := slices.BinarySearch(t.names[dir], name); found {
		t.names[dir] = slices.Delete(t.names[dir], i, i+1)
	}
	if len(t.names[dir]) == 0 {
		delete(t.names, dir)
	}
}

// children returns the names in a directory, sorted. They are the tree's own.
func (d *Disk) children(dir string) []string {
	if d.tree.names == nil || d.tree.entries != len(d.Entries) {
		d.tree = tree{names: map[string][]string{}, entries: len(d.Entries)}
		for p := range d.Entries {
			if p != "/" {
				d.tree.names[path.Dir(p)] = append(d.tree.names[path.Dir(p)], path.Base(p))
			}
		}
		for _, names := range d.tree.names {
			slices.Sort(names)
		}
	}
	return d.tree.names[dir]
}

// Walk returns the path itself and all below it, sorted as strings.
func (d *Disk) Walk(root string) []string {
	if root = path.Clean(root); d.Entries[root] == nil {
		return nil
	}
	out := []string{root}
	for i := 0; i < len(out); i++ {
		prefix := strings.TrimSuffix(out[i], "/") + "/"
		for _, name := range d.children(out[i]) {
			out = append(out, prefix+name)
		}
	}
	slices.Sort(out)
	return out
}
