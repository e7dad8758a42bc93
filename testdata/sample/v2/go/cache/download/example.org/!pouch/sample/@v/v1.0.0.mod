module example.org/Pouch/sample

go 1.20
