// Command joinery is Joinery without a browser: it runs sessions, serves the
// playground, and tells what it is.
//
//	joinery run FILE       play a session and print what each host printed
//	joinery serve          serve the playground
//	joinery site --out DIR write the playground as static files
//	joinery era list       list the Kubernetes releases
//	joinery version        tell the build
//
// It exits with 0; with 1 when an expectation of a session does not hold or
// something could not be done; with 2 for an argument or a file that it can't
// read.
package main
