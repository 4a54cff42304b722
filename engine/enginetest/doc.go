// Package enginetest plays transcripts: what was typed, and all that the world
// printed, word for word.
//
// A transcript is a text file of steps. A step is a line typed at a host, or
// an advance, a fault ("fault add link node-1 control-1 drop", "fault end all"),
// a flag ("flag control-1/kube-apiserver --v=5"), an upgrade ("upgrade 1.9") or a
// question ("why node/node-1"); then a line of dashes; then everything that was printed, up to
// a blank line. The first step may say of what kind the world is ("world release=1.8
// nodes=2 scenario=kubeadm"):
//
//	# The kubelet is installed and stopped.
//	node-1# systemctl is-active kubelet
//	----
//	inactive
//
//	advance 5m
//	----
//
// "trust" prints who trusts whom; "trust B|broken,bundle: node-1" asks about the CA B and
// keeps the lines that begin so. "refused" prints the handshakes that failed and the
// answers 401 and 403 since it was last asked, by whom they were met: what was observed,
// whatever trust says.
//
// A transcript may be a story in parts, whose comments begin with a label ("# 4. The pods
// are started anew."). Another one goes on from it: "from ca-rotation 4" is the world
// before that part, and "play ca-rotation 5 4" does what these parts do, in this order.
//
// Names and times that chance gives are written as x.
//
// Output with blank lines stands between two pairs of dashed lines, as in
// datadriven. Run the tests with -rewrite to write what is printed now into
// the files, and read the difference before you commit it.
package enginetest
