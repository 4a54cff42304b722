// What is in this folder is copied over modules that the page is built of: see the
// Makefile. It is no part of the project's own module.
module plain

go 1.26
