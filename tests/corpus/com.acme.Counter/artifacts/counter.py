import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as db:
    db.execute("create table if not exists starts (at text default current_timestamp)")
    db.execute("insert into starts default values")
    print("counted", db.execute("select count(*) from starts").fetchone()[0])
